"""`parley replay` and `parley dead retry`, on real Kafka and PostgreSQL: what was misread or died comes out once the cause is mended, nothing twice."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from rich.console import Console

from parley import deadletters, wire
from parley.channels import PROVIDERS, twilio
from parley.channels.shape import Received
from parley.service import utc_now
from parley.settings import SettingsError
from parley_ingest import replay
from tests.conftest import until
from tests.ingesting import Ingest, records, running, write_accounts
from tests.test_cli import parley
from tests.test_ingest_spool import write_text

pytestmark = pytest.mark.stack


def old(request, account):
    """An adapter with three mistakes: it stumbles over `dies`, does not see `missed`, and reads `misread` wrongly."""
    for item in twilio.parse(request, account):
        if item.text == "dies":
            raise KeyError("no such field")
        if item.text != "missed":
            yield Received(**{**{name: getattr(item, name) for name in item.__slots__}, "text": "wrong" if item.text == "misread" else item.text})


@pytest.fixture
def mistaken(monkeypatch):
    """The old adapter in the place of the right one, until told otherwise."""
    module = SimpleNamespace(**{**vars(twilio), "parse": lambda request, account: list(old(request, account))})
    monkeypatch.setattr("parley_ingest.normalise.PROVIDERS", {**PROVIDERS, "twilio": module})
    return lambda: monkeypatch.setattr("parley_ingest.normalise.PROVIDERS", PROVIDERS)


@pytest.fixture
def here(settings, tmp_path):
    return settings.model_copy(update={"config": write_accounts(tmp_path)})


async def said(one: Ingest) -> list[str]:
    """The texts on parley.inbound, sorted."""
    return sorted(event.data.text for event in await one.topic("parley.inbound"))


async def passed(one: Ingest, topic: str, count: int) -> None:
    """Returns once so many records stand on a topic."""

    async def so() -> bool:
        return len(await records(one.settings, topic)) >= count

    await until(so, f"{count} records on {topic}")


async def through_the_old(one: Ingest) -> None:
    """Four messages through the old adapter: two come out, one died, one is not seen."""
    one.clock[0] = utc_now()
    for number, text in enumerate(("fine", "missed", "dies", "misread")):
        assert 200 == await write_text(one, "+821000000001", number, text)
    await passed(one, "parley.inbound", 2)
    await passed(one, "parley.dead", 1)


async def replayed(here, *, dry_run: bool = False, since=None, until_=None) -> tuple[bool, dict[str, int]]:
    """Whether all was taken, and what was new, in words."""
    from parley import config, database
    from parley.bus import Bus

    since = since or utc_now() - timedelta(hours=1)
    configuration = config.load(here.config)
    pool, bus = await database.connect(here.database.get_secret_value(), "ingest", size=2), Bus(here, client="test")
    try:
        wanted = replay.Wanted("sms", since, until_)
        tally = await replay.replay(here, configuration, pool, bus, wanted, dry_run=dry_run, console=Console(quiet=True))
        taken = dry_run or await replay._taken(pool, tally, Console(quiet=True))
        return taken, {
            "requests": tally.requests,
            "again": tally.again,
            "seen": tally.seen,
            "new": len(tally.new),
            "dead": sum(tally.unreadable.values()),
        }
    finally:
        await bus.stop()
        await pool.close()


def test_what_the_old_adapter_missed_comes_out_and_nothing_twice(here, run, mistaken):
    """Missed and dead ones come out; what was misread keeps its meaning; a dry run does nothing, and a second replay finds nothing."""

    async def main():
        async with running(here) as one:
            await through_the_old(one)
            still = await replayed(here, dry_run=True)
            mistaken()
            dry = await replayed(here, dry_run=True)
            untouched = await said(one)
            first = await replayed(here)
            await passed(one, "parley.inbound", 4)
            second = await replayed(here)
            return still, dry, untouched, first, second, await said(one), len(await records(here, "parley.raw"))

    still, dry, untouched, first, second, texts, raw = run(main())

    assert (True, {"requests": 4, "again": 0, "seen": 2, "new": 0, "dead": 1}) == still
    assert (True, {"requests": 4, "again": 2, "seen": 2, "new": 2, "dead": 0}) == dry == first
    assert ["fine", "wrong"] == untouched
    assert (True, {"requests": 6, "again": 0, "seen": 6, "new": 0, "dead": 0}) == second
    assert ["dies", "fine", "missed", "wrong"] == texts
    assert 6 == raw


def test_only_the_time_and_the_account_that_are_asked_for_are_read(here, run, mistaken):
    """By the time at which requests were received: from it, up to but without the other."""

    async def main():
        async with running(here) as one:
            await through_the_old(one)
            mistaken()
            at = one.clock[0]
            return [
                (await replayed(here, dry_run=True, since=since, until_=end))[1]["requests"]
                for since, end in ((at, None), (at, at), (at + timedelta(seconds=1), None), (None, at), (None, at + timedelta(seconds=1)))
            ]

    assert [4, 0, 0, 0, 4] == run(main())


def test_what_the_normaliser_has_not_read_yet_is_left_to_it(here, run):
    """A request that waits in its turn is neither new nor put back."""

    async def main():
        async with running(here) as one:
            one.clock[0] = utc_now()
            await one.one.streams[0].stop()
            assert 200 == await write_text(one, "+821000000001", 1, "waits")
            return await replayed(here)

    assert {"requests": 0, "again": 0, "seen": 0, "new": 0, "dead": 0} == run(main())[1]


def test_a_dead_letter_goes_back_and_has_one_effect(here, run, mistaken, capsys):
    """By id or by stage; shown with all that it says; what is put back twice passes once."""

    async def main():
        async with running(here) as one:
            await through_the_old(one)
            (letter,) = await records(here, "parley.dead")
            event_id = dict(letter.headers)["ce_id"].decode()
            shown = await deadletters.inspect(here, event_id), await deadletters.inspect(here, "no such id")
            mistaken()
            counts = [
                await deadletters.retry(here, event_id=event_id), await deadletters.retry(here, stage="normalise"),
                await deadletters.retry(here, stage="router"), await deadletters.retry(here, event_id="no such id"),
            ]  # fmt: skip
            await passed(one, "parley.inbound", 3)
            await passed(one, "parley.raw", 6)
            again = [wire.decode("parley.raw", record.headers, record.value) for record in await records(here, "parley.raw")]
            return shown, counts, [event.origin for event in again if event.id == event_id], await said(one), await records(here, "parley.dead")

    shown, counts, origins, texts, dead = run(main())

    assert ((True, False), [1, 1, 0, 0]) == (shown, counts)
    assert "no such field" in capsys.readouterr().out
    assert (None, 1) == (origins[0], len(set(origins[1:])))
    assert origins[1].startswith("retry:")
    assert ["dies", "fine", "wrong"] == texts
    assert 1 == len(dead)


def test_older_than_the_memory_of_ids_is_refused(here):
    """Nobody knows any more what those requests yielded; and an account that there is not has nothing."""
    from parley import config

    configuration, now = config.load(here.config), utc_now()
    with pytest.raises(SettingsError, match="remembered for 30 days"):
        replay.check(configuration, "sms", now - timedelta(days=30), now)
    with pytest.raises(SettingsError, match="no such account .* known: "):
        replay.check(configuration, "nobody", now, now)

    assert None is replay.check(configuration, "sms", now - timedelta(days=29), now)


@pytest.mark.parametrize("words, why", [
    (("--from", "yesterday", "--account", "sms"), "--from 'yesterday' is no time"),
    (("--from", "2026-11-24T09:00:00", "--account", "sms"), "has no offset"),
    (("--from", "2026-11-24T09:00:00Z", "--account", "sms", "--topic", "parley.inbound"), "only parley.raw"),
])  # fmt: skip
def test_a_replay_that_makes_no_sense_is_refused_in_a_sentence(here, words, why):
    """Exit status 2, nothing read."""
    done = parley("replay", *words, kafka=here.kafka, database=here.database.get_secret_value(), config=here.config)

    assert (2, True) == (done.returncode, why in done.stderr)


def test_the_command_says_what_it_did(here, run, mistaken):
    """A table of what is new, on real servers, in a process of its own; exit status 0 once the normaliser has taken it."""
    start = utc_now() - timedelta(minutes=1)

    async def main():
        async with running(here) as one:
            await through_the_old(one)
            mistaken()
            given = {"kafka": here.kafka, "database": here.database.get_secret_value(), "config": here.config, "prefix": here.prefix}
            return await asyncio.to_thread(parley, "replay", "--from", start.isoformat(), "--account", "sms", **given)

    done = run(main())

    assert 0 == done.returncode, done.stderr
    assert "new: message (text)" in done.stdout
    assert "requests put back" in done.stdout
