"""docs/messages-api.md: every command in it is run, and answers as the page says."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from parley_sender.asking import Asked
from tests.messaging import office

PAGE = (Path(__file__).parents[1] / "docs" / "messages-api.md").read_text(encoding="utf-8")
BLOCKS = [re.sub("^    ", "", block.rstrip(), flags=re.MULTILINE) for block in re.findall(r"(?:^    .*\n)+", PAGE, flags=re.MULTILINE)]
ANY = "…"


def alike(shown: Any, found: Any) -> bool:
    """Equal, where the page does not leave it open."""
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(alike(one, found[name]) for name, one in shown.items())
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(alike, shown, found))
    return shown in (ANY, found)


@pytest.mark.stack
def test_the_commands_answer_as_they_are_shown(settings, tmp_path, run):
    """One after the other, by bash and curl; `ID` is that of the message before."""

    async def main():
        async with office(settings, tmp_path) as one:
            known = os.environ | {"S": f"http://127.0.0.1:{one.replicas[0].port}", "KEY": "shop"}
            told = []
            for block in BLOCKS:
                if "curl" in block:
                    if "$ID" in block:
                        await one.stands(known["ID"], "queued")
                    process = await asyncio.create_subprocess_exec("bash", "-c", block, env=known, stdout=asyncio.subprocess.PIPE)
                    told.append(orjson.loads((await process.communicate())[0]))
                    known["ID"] = told[-1].get("message_id", "")
            await one.stands(told[0]["message_id"], "sent")
            return told, one.texts()

    told, texts = run(main())
    shown = [orjson.loads(block) for block in BLOCKS if block.startswith("{")]

    assert len(shown) == len(told) == 6
    assert [] == [(one, other) for one, other in zip(shown, told, strict=True) if not alike(one, other)]
    assert ["Minji, order 1001 is paid: ₩24,000."] == texts


def test_every_field_is_on_the_page():
    """Those that a message has, and no other."""
    table = PAGE.partition("| field | |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert Asked.model_fields.keys() == named
