"""Tracked links and open pixels: where they lead, who followed them, and what happens while parts are away."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from parley import wire
from parley.contracts import EngagementRecorded, Envelope, LinkHit, LinkMinted
from parley_ingest import tracking
from parley_ingest.erasing import NOBODY
from parley_ingest.judge import RULES
from parley_ingest.tracking import PIXEL
from tests.conftest import until
from tests.ingesting import NOW, Ingest, Shared, running, write_accounts
from tests.test_ingest_door import kafka_away

PHONE = {
    "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1",
    "accept-language": "ko",
}


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("links")) as one:
        yield one


@pytest.fixture
def ingest(shared) -> Ingest:
    return shared.ingest


def minted(url: str = "https://shop.example/tea?a=1&b=%EC%B0%A8", code: str | None = None) -> LinkMinted:
    return LinkMinted(contact_id=uuid4(), code=code or uuid4().hex[:12], url=url, message_id=uuid4(), at=NOW)


async def mint(ingest: Ingest, link: LinkMinted) -> None:
    """As sender does it: on the bus, from where the stage `links` learns it."""
    event = Envelope(id=str(uuid4()), source="parley/sender", time=NOW, tenant="acme", subject=str(link.contact_id), data=link)
    await ingest.one.context.bus.publish([wire.encode(event)])


async def stored(ingest: Ingest, link: LinkMinted) -> LinkMinted:
    await mint(ingest, link)

    async def there() -> bool:
        return await ingest.one.context.pool.fetchval("SELECT true FROM links WHERE code = $1", link.code) is True

    await until(there, "the link to be learnt")
    return link


async def hits(ingest: Ingest, message: UUID) -> list[LinkHit]:
    return [one.data for one in await ingest.topic("parley.hits") if isinstance(one.data, LinkHit) and one.data.message_id == message]


async def engagements(ingest: Ingest, message: UUID, count: int = 1) -> list[EngagementRecorded]:
    """What is recorded of a message, once its time has come and `count` of it are there."""
    ingest.clock[0] += timedelta(seconds=10)
    found: list[EngagementRecorded] = []

    async def there() -> bool:
        found[:] = [one.data for one in await ingest.topic("parley.engagement") if one.data.message_id == message]
        return len(found) >= count

    await until(there, "the hits to be judged")
    return found


@pytest.mark.stack
def test_a_link_leads_where_it_was_minted_to_and_nowhere_else(shared, ingest):
    """302 to the very address; what the caller adds changes nothing."""

    async def main():
        link = await stored(ingest, minted())
        paths = [f"/l/{link.code}", f"/l/{link.code}?url=https://evil.example", f"/l/{link.code}?to=//evil.example"]
        return link, [await ingest.ask("GET", path, headers=PHONE | {"x-forwarded-host": "evil.example"}) for path in paths]

    link, answers = shared.run(main())

    assert [(302, link.url)] * 3 == [(status, headers["location"]) for status, _, headers in answers]
    assert {"no-store"} == {headers["cache-control"] for _, _, headers in answers}


@pytest.mark.stack
@pytest.mark.parametrize("code", ["unknown12345", "", "..", "https://evil.example", "//evil.example", "a%0d%0aLocation:%20x", "%00", "a" * 5000])
def test_an_unknown_link_is_a_page_and_no_redirect(shared, ingest, monkeypatch, code):
    """404 with words for people, whatever stands there."""
    monkeypatch.setattr(tracking, "WAIT", 0.1)
    status, _, headers = shared.run(ingest.ask("GET", f"/l/{code}"))

    assert (404, None) == (status, headers.get("location"))


@pytest.mark.stack
def test_the_page_speaks_both_languages(shared, ingest):
    """HTML that says what may have happened, in Korean and English, and does not echo the code."""
    _, body, headers = shared.run(ingest.ask("GET", "/l/nocode"))

    assert "text/html; charset=utf-8" == headers["content-type"]
    assert "leads nowhere" in body.decode()
    assert "만료" in body.decode()
    assert b"nocode" not in body


@pytest.mark.stack
def test_a_target_cannot_break_the_header(shared, ingest):
    """What could end a header line or is no ASCII is percent-encoded; what is encoded already stays."""

    async def main():
        link = await stored(ingest, minted("https://shop.example/차\r\nX-Evil: 1?a=%20;b#c"))
        return await ingest.ask("GET", f"/l/{link.code}")

    status, _, headers = shared.run(main())

    assert (302, "https://shop.example/%EC%B0%A8%0D%0AX-Evil:%201?a=%20;b#c") == (status, headers["location"])
    assert "x-evil" not in headers


@pytest.mark.stack
def test_every_follower_is_recorded_as_what_it_is(shared, ingest):
    """People, prefetching browsers, scanners and HEAD: all are sent on, and each is called by its name."""
    other = {**PHONE, "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"}
    callers = [("GET", PHONE), ("GET", PHONE | {"sec-purpose": "prefetch"}), ("GET", {"user-agent": "Proofpoint scan"}), ("HEAD", other)]

    async def main():
        link = await stored(ingest, minted())
        statuses = [(await ingest.ask(method, f"/l/{link.code}", headers=headers))[0] for method, headers in callers]
        return statuses, Counter((one.by, one.reason, one.rules) for one in await engagements(ingest, link.message_id, 4))

    expected = [("human", "no_sign", RULES), ("prefetch", "declared", RULES), ("scanner", "agent", RULES), ("scanner", "head", RULES)]
    assert ([302] * 4, Counter(expected)) == shared.run(main())


@pytest.mark.stack
def test_a_pixel_is_a_pixel_whatever_the_code(shared, ingest):
    """Known and unknown codes answer alike; only the known one is an open."""

    async def main():
        link = await stored(ingest, minted(url=""))
        answers = [await ingest.ask("GET", f"/o/{code}.gif", headers=PHONE) for code in (link.code, "unknown123", "%00", "a" * 300)]
        return answers, await engagements(ingest, link.message_id), (await ingest.ask("GET", f"/l/{link.code}"))[0]

    answers, found, followed = shared.run(main())

    assert [(200, PIXEL, "image/gif")] * 4 == [(status, body, headers["content-type"]) for status, body, headers in answers]
    assert [("opened", "human", None)] == [(one.kind, one.by, one.link) for one in found]
    assert 404 == followed


@pytest.mark.stack
def test_a_click_before_its_link_is_known_waits_for_it(shared, ingest):
    """A customer can be faster than the stage `links`: the code comes while the click waits, and the click goes on and counts."""

    async def main():
        link = minted()
        click = asyncio.create_task(ingest.ask("GET", f"/l/{link.code}", headers=PHONE))
        tracked = []

        async def waiting() -> bool:
            tracked[:] = [one for one in waiters(ingest) if one.waiting]
            return bool(tracked)

        await until(waiting, "the click to wait")
        await mint(ingest, link)
        status, _, headers = await click
        return link, status, headers, await engagements(ingest, link.message_id), tracked[0].waiting

    link, status, headers, found, waiting = shared.run(main())

    assert (302, link.url) == (status, headers["location"])
    assert [("clicked", "human", link.url)] == [(one.kind, one.by, one.link) for one in found]
    assert 0 == waiting


def waiters(ingest: Ingest) -> list[tracking.Tracking]:
    return [one for one in ingest.one.workers if isinstance(one, tracking.Tracking)]


@pytest.mark.stack
def test_who_guesses_codes_cannot_take_all_the_waiting(shared, ingest, monkeypatch):
    """So many wait, and no more: the rest hear 404 at once, and known links go on."""
    monkeypatch.setattr(tracking, "WAITING", 5)

    async def main():
        link = await stored(ingest, minted())
        guesses = [asyncio.create_task(ingest.ask("GET", f"/l/guess{n:06}")) for n in range(40)]
        done, waiting = await asyncio.wait(guesses, timeout=1.0)
        known = await ingest.ask("GET", f"/l/{link.code}")
        return len(done), len(waiting), known[0], {one[0] for one in await asyncio.gather(*guesses)}

    assert (35, 5, 302, {404}) == shared.run(main())


@pytest.mark.stack
def test_nobody_waits_for_kafka_to_be_sent_on(settings, run, tmp_path, monkeypatch):
    """While the bus is away people are sent on after a moment; the click is recorded once it is back."""
    monkeypatch.setattr(tracking, "RECORD_WITHIN", 0.2)

    async def main():
        async with running(settings.model_copy(update={"config": write_accounts(tmp_path)})) as one:
            link = await stored(one, minted())
            there = one.one.context.bus._settings
            await kafka_away(one, silent=False)
            async with asyncio.timeout(5):
                status = (await one.ask("GET", f"/l/{link.code}", headers=PHONE))[0]
            one.one.context.bus._settings = there

            async def recorded() -> bool:
                return bool(await hits(one, link.message_id))

            await until(recorded, "the click to be recorded")
            return status, await engagements(one, link.message_id)

    status, found = run(main())

    assert (302, 1) == (status, len(found))


@pytest.mark.stack
def test_a_link_of_somebody_erased_leads_nowhere_soon(shared, ingest, monkeypatch):
    """In every replica that has it in memory, though another one heard of the erasure: after half a minute, and nothing is recorded of it."""
    monkeypatch.setattr(tracking, "WAIT", 0.1)

    async def main():
        link = await stored(ingest, minted())
        before = await ingest.ask("GET", f"/l/{link.code}", headers=PHONE)
        await mint(ingest, link.model_copy(update={"contact_id": NOBODY, "message_id": NOBODY, "url": ""}))

        async def gone() -> bool:
            return await ingest.one.context.pool.fetchval("SELECT true FROM links WHERE code = $1", link.code) is None

        await until(gone, "the link to be forgotten")
        ingest.clock[0] += tracking.FRESH
        after = [(await ingest.ask("GET", path, headers=PHONE))[0] for path in (f"/l/{link.code}", f"/o/{link.code}.gif")]
        return before[0], after, len(await hits(ingest, link.message_id)), [one for one in waiters(ingest) if link.code in one.cache]

    assert (302, [404, 200], 1, []) == shared.run(main())


@pytest.mark.stack
def test_without_the_database_a_link_says_try_again_and_a_pixel_stays_a_pixel(settings, run, tmp_path):
    """503 for a link that is not in memory, never a 500 and never a false 404; links in memory go on for ten minutes."""

    async def main():
        async with running(settings.model_copy(update={"config": write_accounts(tmp_path)})) as one:
            link = await stored(one, minted())
            paths = [f"/l/{link.code}", "/l/another12345", "/o/another12345.gif"]
            await one.ask("GET", paths[0])
            one.one.context.pool.terminate()
            found = [(await one.ask("GET", path))[0] for path in paths]
            for wait in (tracking.FRESH, tracking.STALE):
                one.clock[0] = NOW + wait
                found.append((await one.ask("GET", paths[0]))[0])
            return found

    assert [302, 503, 200, 302, 503] == run(main())
