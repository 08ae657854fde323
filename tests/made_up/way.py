"""A letter's way in and another's way out, through the services of the tree that it is run in. Prints what became of them as JSON."""

import asyncio
import hmac
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aiohttp
import yaml
from aiohttp import web

from parley import service, wire
from parley.contracts import Content, Envelope, MessageRequested
from parley.local import free_port
from parley.settings import Settings
from parley_ingest.app import SERVICE as INGEST
from parley_sender.app import SERVICE as SENDER
from tests.conftest import until
from tests.ingesting import records

FEATHER = "tail-feather"
LETTER = {"letters": [{"id": "L1", "from": "coop-12", "text": "coo", "at": 1795426200}]}


def accounts(directory: Path, base_url: str) -> None:
    account = {
        "tenant": "acme",
        "provider": "pigeon",
        "channel": "inapp",
        "sender": "d",
        "credentials": {"feather": "file:feather"},
        "base_url": base_url,
    }
    (directory / "feather").write_text(FEATHER)
    (directory / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "accounts": {"dovecote": account}}))


async def main(directory: Path) -> dict[str, object]:
    carried: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        carried.append(await request.json())
        return web.json_response({"id": "P-1"}, status=201)

    office, port = web.Application(), free_port()
    office.router.add_post("/letters", take)
    runner = web.AppRunner(office)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    accounts(directory, f"http://127.0.0.1:{port}")
    settings = Settings(config=directory, spool=directory / "spool", secret="test", partitions=3, prefix=f"{uuid4().hex[:8]}.")

    async def events(topic: str) -> list[Envelope]:
        return [wire.decode(topic, one.headers, one.value) for one in await records(settings, topic)]

    async with (
        service.running(INGEST, settings.model_copy(update={"port": free_port()})) as ingest,
        service.running(SENDER, settings.model_copy(update={"port": free_port()})),
    ):
        body = json.dumps(LETTER).encode()
        signed = {"x-pigeon-signature": hmac.new(FEATHER.encode(), body, "sha256").hexdigest()}
        async with aiohttp.ClientSession() as http:
            hook = f"http://127.0.0.1:{ingest.port}/hooks/dovecote"
            statuses = [(await http.post(hook, data=body, headers=headers)).status for headers in ({}, signed)]

        async def arrived() -> bool:
            return bool(await events("parley.inbound"))

        await until(arrived, "the letter on the bus", 60)
        (letter,) = await events("parley.inbound")
        asked = MessageRequested(
            contact_id=letter.data.contact_id, message_id=uuid4(), purpose="reply", account="dovecote", addresses={"inapp": letter.data.address},
            content=Content(text="coo coo"),
        )  # fmt: skip
        event = Envelope(id=str(uuid4()), source="test", time=datetime.now(UTC), tenant="acme", data=asked)
        await ingest.context.bus.publish([wire.encode(event)])

        async def sent() -> bool:
            return "sent" in [one.data.status for one in await events("parley.deliveries")]

        await until(sent, "the answer to be sent", 60)
    await runner.cleanup()
    return {"statuses": statuses, "heard": [letter.data.address, letter.data.text], "carried": [(one["to"], one["text"]) for one in carried]}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(asyncio.run(main(Path(folder)))))
