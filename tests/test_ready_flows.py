"""The ready flows: their own conversations take every step and every way, and what advertises says so, says how to leave, and fits."""

import re
from itertools import chain
from pathlib import Path

import pytest

from parley.channels.text import segments, written_out
from parley.contracts import ConsentState, MessageRequested, Purpose
from parley_router.steps import Say
from parley_router.tools import sources, testing
from parley_router.tools.coverage import share
from parley_router.tools.entries import Happening, Model, Service
from parley_router.tools.staging import Stage, given, happens, rehearsal

ROOT = Path(__file__).parents[1]
FLOWS = sources.opened(ROOT / "config" / "flows")
TESTS = testing.read(FLOWS)
RESULTS = list(testing.run(FLOWS, TESTS))
READY = {source.flow.flow: source.flow for source in FLOWS.sources.values()}


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: f"{one.written.path.stem}-{one.written.line()}")
def test_conversation(result):
    """Every conversation goes as it is written."""
    assert result.verdict.fault is None, testing.failure(result)


def test_every_step_and_every_way_is_taken():
    """Nothing in the ready flows is left to be seen by a customer first."""
    found = testing.covered(FLOWS, RESULTS)

    assert ([], 100.0) == (testing.missing(found), share(one for _, _, one in found))


def advertised(written: testing.Written) -> list[tuple[MessageRequested, str, bool]]:
    """What a conversation says by itself to advertise: the message, the language, and whether the contact had agreed to it then."""
    stage, test = Stage(), written.test
    one = rehearsal(test, written.tenant, FLOWS.book, FLOWS.zones[written.tenant], stage)
    found = []
    for entry in test.talk:
        before = len(one.spoken)
        if isinstance(entry, Service | Model):
            given(stage, entry)
        elif isinstance(entry, Happening):
            agreed = one.state.consent(one.channel, Purpose.MARKETING) is ConsentState.GRANTED
            happens(stage, one, entry)
            said = [spoken.message for spoken in one.spoken[before:] if spoken.message.purpose is Purpose.MARKETING]
            found += [(message, one.state.language or "ko", agreed) for message in said]
    return found


ADVERTISED = list(chain.from_iterable(advertised(one) for one in TESTS))


def test_what_advertises_says_so_and_how_to_leave():
    """Korean advertising begins with (광고) and tells the free refusal; English names the sender and STOP. Every flow of this purpose is seen."""
    marks = {"ko": r"\(광고\) 에이크미.*무료수신거부: 수신거부$", "en": r"Acme Tea House: .*Reply STOP to leave"}
    unmarked = [message.content.text for message, language, _ in ADVERTISED if not re.match(marks[language], message.content.text)]
    wanted = {(name, language) for name, flow in READY.items() if flow.purpose is Purpose.MARKETING for language in ("ko", "en")}

    assert ([], wanted) == (unmarked, {(str(message.flow).partition("@")[0], language) for message, language, _ in ADVERTISED})


def test_what_advertises_asks_for_consent_itself():
    """Without a yes nothing is even asked for, but the first reminder of a cart, which is sender's to refuse."""
    unwanted = {f"{message.flow}/{message.step}" for message, _, agreed in ADVERTISED if not agreed}

    assert {"cart-reminder@1/1"} == unwanted


def test_what_is_short_is_one_segment():
    """A short text fits into one SMS, and an English question with its answers too."""
    texts = [
        (message.content, language)
        for message, language, _ in ADVERTISED
        if message.channels[0] == "sms" and _step(message).short is not None and not (language == "ko" and message.content.choices)
    ]

    assert [] == [content.text for content, _ in texts if segments(written_out(content)) > 1]
    assert {"ko", "en"} == {language for _, language in texts}


def _step(message: MessageRequested) -> Say:
    flow = READY[str(message.flow).partition("@")[0]]
    return next(one for place, one in enumerate(flow.steps) if flow.step_name(place) == message.step)


def test_each_is_on_its_page():
    """docs/flows-ready.md names every ready flow in its tables, and no other."""
    page = (ROOT / "docs" / "flows-ready.md").read_text(encoding="utf-8")

    assert sorted(READY) == sorted(re.findall(r"^\| `([a-z-]+)` \|", page.partition("## The services")[0], re.MULTILINE))
