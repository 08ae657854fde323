"""Flows in force while the router runs: new files are live without a restart in every replica, broken ones change nothing, versions can be taken away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
import yaml

from parley import config, service, wire
from parley.contracts import Channel, Envelope, MessageReceived, MessageRequested
from parley.keyed import Changed
from parley.local import free_port
from parley.service import Context
from parley.templates import Texts
from parley_router import catalogue, publishing, waiting
from parley_router.app import SERVICE
from parley_router.catalogue import Book, Read, Refused
from parley_router.flow import Flow
from parley_router.publishing import Behind, Making, Publishing
from parley_router.state import ContactState, Frame, Position
from parley_router.versions import Resolved
from tests.conftest import until
from tests.ingesting import records
from tests.routing import CONTACT, NOW, Router, routing

pytestmark = pytest.mark.stack
TEA = """\
flow: tea
version: {version}
tenant: acme
start: {{keywords: {{en: [{word}]}}}}
steps:
  - id: kind
    ask: kind
    say: {{en: "Which tea ({version})?"}}
  - id: thanks
    say: {{en: "Thanks ({version})."}}
"""


def write(folder: Path, version: int = 1, word: str = "tea", name: str = "tea.yaml", text: str | None = None) -> None:
    (folder / "flows").mkdir(exist_ok=True)
    (folder / "flows" / name).write_text(text if text is not None else TEA.format(version=version, word=word), encoding="utf-8")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A configuration with two tenants, keys, and one flow."""
    scopes = {"staff": ["flows:read", "flows:write"], "reader": ["flows:read"], "other": ["flows:read", "flows:write"]}
    keys = {name: {"tenant": "other" if name == "other" else "acme", "scopes": some, "token": f"file:{name}"} for name, some in scopes.items()}
    for name in scopes:
        (tmp_path / name).write_text(f"key-{name}")
    sms = {"tenant": "acme", "provider": "plain", "channel": "sms", "sender": "s", "credentials": {"symmetric": "file:staff"}}
    known = {"tenants": {"acme": {}, "other": {}}, "accounts": {"sms": sms}, "keys": keys}
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump(known))
    write(tmp_path)
    return tmp_path


@pytest.fixture
def own(settings, folder):
    return settings.model_copy(update={"config": folder, "port": free_port()})


@contextlib.asynccontextmanager
async def replicas(own, count: int = 1) -> AsyncIterator[tuple[Router, list[Publishing]]]:
    async with routing(own, config.load(own.config)) as router:
        yield router, [replica(router.context) for _ in range(count)]


def replica(context: Context) -> Publishing:
    return of(context, context.settings.config / "flows")


def of(context: Context, folder: Path) -> Publishing:
    """A replica with these files, where there are no services and no intents."""
    languages, texts = {name: tenant.languages for name, tenant in context.config.tenants.items()}, Texts()

    def check(reads: Sequence[Read], beside: Sequence[Flow]) -> Sequence[Refused]:
        return catalogue.refusals(reads, languages, texts, beside, {})

    def book(resolved: Resolved, older: Sequence[Flow]) -> Book:
        return catalogue.bound(resolved.live, languages, {}, {}, texts, older, resolved.retired)

    return Publishing(context, folder, Making(check, book))


def live(one: Publishing) -> dict[str, int]:
    return {name: flow.version for name, flow in one.book.shelves["acme"].flows.items()}


async def stand(router: Router, version: int, flow: str = "tea") -> ContactState:
    """A contact that waits in a version."""
    state = ContactState(position=Position(flow=flow, version=version, step=0))
    async with router.context.pool.acquire() as connection, connection.transaction():
        await waiting.follow(connection, [Changed(CONTACT, "acme", None, state)], NOW)
    return state


# --- files and replicas ----------------------------------------------------------------------------------------------------------------


def test_a_new_version_is_in_force_in_every_replica(own, folder, run):
    """Also in one whose files are still those of before; what has not changed is not read again."""

    async def main():
        async with replicas(own, 2) as (_, (one, other)):
            first = [await one.look(), await other.look(), await other.look()]
            write(folder, 2, "teas")
            return first, await one.look(), await other.look(), live(one), live(other), one.book.shelves["acme"].keywords

    assert ([True, True, False], True, True, {"tea": 2}, {"tea": 2}, {"teas": "tea"}) == run(main())


def test_a_look_reads_what_changed_and_can_be_asked_for(own, folder, run):
    """Of a thousand files one is read when one is changed; what else a book is made of has it made anew."""

    async def main():
        async with replicas(own) as (_, (one,)):
            write(folder, name="cake.yaml", text=TEA.format(version=1, word="cake").replace("flow: tea", "flow: cake"))
            await one.look()
            before = one.book.shelves["acme"].flows
            write(folder, 2)
            await one.look()
            after = one.book.shelves["acme"].flows
            one.renew()
            return before["cake"] is after["cake"], before["tea"] is after["tea"], await one.look(), await one.look()

    assert (True, False, True, False) == run(main())


def test_a_replica_with_older_files_follows_what_is_published(own, folder, run, tmp_path):
    """A ConfigMap reaches machines at different times: the greater number is in force everywhere."""

    async def main():
        late = tmp_path / "late"
        late.mkdir()
        write(late)
        async with replicas(own) as (router, (one,)):
            other = of(router.context, late / "flows")
            await other.look()
            write(folder, 2)
            await one.look()
            await other.look()
            return live(other), [row.reason.partition(": version: ")[2] for row in other.refused]

    found, (reason,) = run(main())

    assert {"tea": 2} == found
    assert reason.startswith("version 2 was published on 2026-11-24 and is in force")


@pytest.mark.parametrize(
    "text, said",
    [
        ("flow: [", "tea.yaml:1: not YAML"),
        (TEA.format(version=2, word="tea").replace("ask: kind", "aks: kind"), "tea.yaml:7: steps.0.(say).aks: Extra inputs are not permitted"),
        (TEA.format(version=2, word="tea") + "  - call: orders\n    path: /\n", "tea.yaml:11: steps.2.call: "),
        (TEA.format(version=2, word="stop"), "tea.yaml:4: start.keywords.en.0: the word 'stop'"),
        (TEA.format(version=1, word="other"), "tea.yaml:2: version: version 1 was published on 2026-11-24 with other content: make it version 2"),
    ],
)
def test_a_broken_file_is_refused_and_the_version_before_stays(own, folder, run, text, said):
    """With file and line; also after a restart, from the database; and it is counted."""

    async def main():
        async with replicas(own, 2) as (router, (one, restarted)):
            await one.look()
            write(folder, text=text)
            write(folder, name="cake.yaml", text=TEA.format(version=1, word="cake").replace("flow: tea", "flow: cake"))
            await one.look()
            await restarted.look()
            gauge = router.context.metrics.registry.get_sample_value("parley_flows_refused")
            return [(live(each), each.book.shelves["acme"].keywords, [row.reason for row in each.refused]) for each in (one, restarted)], gauge

    found, gauge = run(main())

    assert [({"tea": 1, "cake": 1}, {"tea": "tea", "cake": "cake"})] * 2 == [one[:2] for one in found]
    assert all(said in reason for one in found for reason in one[2])
    assert 1.0 == gauge


def test_neither_a_missing_directory_nor_a_broken_file_stops_the_first_start(own, folder, run):
    """There is nothing in force then, and the reason is told."""

    async def main():
        async with replicas(own) as (router, (one,)):
            write(folder, text="flow: [")
            await one.look()
            nowhere = of(router.context, folder / "nowhere")
            await nowhere.look()
            return live(one), live(nowhere), one.refused[0].reason, nowhere.refused[0].reason

    found = run(main())

    assert ({}, {}) == found[:2]
    assert "tea.yaml:1: not YAML" in found[2]
    assert "there is no such directory" in found[3]


def test_two_replicas_that_publish_the_same_number_agree(own, folder, run, tmp_path):
    """With different content: the one that was first has it, and the other says so."""

    async def main():
        there = tmp_path / "there"
        there.mkdir()
        write(there, 1, "chai")
        async with replicas(own) as (router, (one,)):
            other = of(router.context, there / "flows")
            await asyncio.gather(one.look(), other.look())
            await asyncio.gather(one.look(), other.look())
            return [list(each.book.shelves["acme"].keywords) for each in (one, other)], sorted(len(each.refused) for each in (one, other))

    (first, second), refused = run(main())

    assert (first, [0, 1]) == (second, refused)


# --- versions that somebody stands in --------------------------------------------------------------------------------------------------


def test_versions_that_somebody_stands_in_are_read_and_others_are_not(own, folder, run):
    """Of a flow that was published a hundred times only what is needed is in memory."""

    async def main():
        async with replicas(own, 2) as (router, (one, other)):
            for version in (1, 2, 3):
                write(folder, version)
                await one.look()
            await stand(router, 2)
            await other.look()
            return [list(each.book.shelves["acme"].older) for each in (one, other)]

    assert [[], [("tea", 2)]] == run(main())


def test_a_version_that_another_replica_published_is_read_before_the_step(own, folder, run):
    """The step is put off, the worker woken, and the next try finds it; a version that nobody has puts nothing off for ever."""

    async def main():
        async with replicas(own, 2) as (router, (one, other)):
            await one.look()
            await other.look()
            write(folder, 2)
            await one.look()
            nested = ContactState(runs=(Position(flow="tea", version=2, step=0, stack=(Frame(flow="tea", version=7, step=0),)),))
            with pytest.raises(Behind):
                other.known("acme", nested)
            async with router.working(other):
                await until(lambda: _knows(other, nested), "the version to be read", 10)
            return live(other)

    assert {"tea": 2} == run(main())


async def _knows(one: Publishing, state: ContactState) -> bool:
    with contextlib.suppress(Behind):
        one.known("acme", state)
        return True
    return False


# --- the service and its API -----------------------------------------------------------------------------------------------------------


class Desk:
    """A running router, and who asks it."""

    def __init__(self, one: service.Running, http: aiohttp.ClientSession) -> None:
        self.one, self.http = one, http

    async def ask(self, method: str, path: str, key: str = "staff", **options: Any) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer key-{key}"}
        async with self.http.request(method, f"http://127.0.0.1:{self.one.port}/v1/flows{path}", headers=headers, **options) as answer:
            return answer.status, await answer.json(content_type=None)

    async def write(self, text: str) -> list[str]:
        """What the bot says to that, in all that it said so far."""
        before = len(await self.said())
        data = MessageReceived(
            contact_id=CONTACT, message_id=UUID(int=before), account="sms", channel=Channel.SMS, address="+821012345678", kind="text", text=text,
            received_at=NOW,
        )  # fmt: skip
        await self.one.context.bus.publish([wire.encode(Envelope(id=f"e{before}", source="test", time=NOW, tenant="acme", data=data))])
        await until(lambda: self._more(before), f"an answer to {text}")
        return await self.said()

    async def _more(self, before: int) -> bool:
        return len(await self.said()) > before

    async def said(self) -> list[str]:
        """Each message once: a new owner of a partition says again what the last one may not have, with the same ids."""
        found = await records(self.one.context.settings, MessageRequested.topic)
        data = [wire.decode(MessageRequested.topic, one.headers, one.value).data for one in found]
        return [one.content.text for one in {one.message_id: one for one in data}.values()]


@contextlib.asynccontextmanager
async def desk(own) -> AsyncIterator[Desk]:
    async with service.running(SERVICE, own) as one, aiohttp.ClientSession() as http:
        yield Desk(one, http)


def test_a_conversation_stays_on_its_version_until_that_is_retired(own, folder, run, monkeypatch):
    """Version 2 is live without a restart while somebody is asked by version 1; retired, they go on at the same step of version 2."""
    monkeypatch.setattr(publishing, "EVERY", 0.05)

    async def main():
        async with desk(own) as one:
            await one.write("tea")
            write(folder, 2, "teas")

            async def two() -> bool:
                return (await one.ask("GET", ""))[1]["flows"][0]["live"] == 2

            await until(two, "version 2 to be in force")
            before = (await one.ask("GET", ""))[1]["flows"]
            retired = await one.ask("POST", "/tea/versions/1/retire", json={"to": 2})
            said = await one.write("green")
            return before, retired, said, (await one.ask("GET", ""))[1]["flows"]

    before, (status, retired), said, after = run(main())

    assert [(2, 0), (1, 1)] == [(one["version"], one["waiting"]) for one in before[0]["versions"]]
    assert (200, 2) == (status, retired["retired_to"])
    assert ["Which tea (1)?", "Thanks (2)."] == said
    assert [(2, 0), (1, 0)] == [(one["version"], one["waiting"]) for one in after[0]["versions"]]


def test_the_api_tells_versions_sources_and_reasons(own, folder, run):
    """To keys that may, of their own tenant."""
    write(folder, name="cake.yaml", text="tenant: acme\nflow: cake\nsteps: 7\n")

    async def main():
        async with desk(own) as one:
            asked = [("GET", "", "staff"), ("GET", "/tea/versions/1", "reader"), ("GET", "", "other"), ("GET", "/tea/versions/1", "other")]
            return [await one.ask(method, path, key) for method, path, key in asked]

    (_, listed), (_, one), (_, others), (missing, _) = run(main())

    assert [("tea", 1, [1])] == [(each["flow"], each["live"], [row["version"] for row in each["versions"]]) for each in listed["flows"]]
    assert "cake.yaml:1: version: Field required" in listed["refused"][0]["reasons"][0]
    assert (TEA.format(version=1, word="tea"), "tea.yaml") == (one["source"], one["file"])
    assert ({"flows": [], "refused": []}, 404) == (others, missing)


@pytest.mark.parametrize(
    "path, key, body, status, said",
    [
        ("/tea/versions/1/retire", "reader", {"to": None}, 403, "lacks the scope 'flows:write'"),
        ("/tea/versions/1/retire", "staff", {}, 422, "to: Field required"),
        ("/tea/versions/1/retire", "staff", {"to": None}, 409, "Version 1 is in force"),
        ("/tea/versions/9/retire", "staff", {"to": None}, 404, "There is no version 9 of a flow 'tea'."),
        ("/tea/versions/99999999999/retire", "staff", {"to": None}, 404, "There is no version"),
    ],
)
def test_what_cannot_be_retired_says_why(own, run, path, key, body, status, said):
    """And changes nothing."""

    async def main():
        async with desk(own) as one:
            return await one.ask("POST", path, key, json=body)

    found, answer = run(main())

    assert status == found
    assert said in answer["detail"]


def test_runs_of_a_version_without_a_successor_end(own, folder, run):
    """Who stands in it is answered as anybody is; a version to go on with must be there."""

    async def main():
        async with replicas(own) as (router, (one,)):
            await one.look()
            write(folder, 2)
            await one.look()
            state = await stand(router, 1)
            await one.retire("acme", "tea", 1, None)
            one.known("acme", state)
            shelf = one.book.shelves["acme"]
            return shelf.at(state.position), dict(shelf.retired), list(shelf.older)

    assert (None, {("tea", 1): None}, [("tea", 1)]) == run(main())
