"""The spool: in order, bounded, and exact about what it holds, wherever a process ended and whatever became of the bytes."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st

from parley.settings import SettingsError
from parley_ingest import spoolfile
from parley_ingest.spool import Full, opened
from parley_ingest.spoolfile import Kept, frame, kept, pieces

MANY = options(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
records = st.tuples(
    st.just("parley.raw"), st.binary(max_size=8), st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=8)), max_size=2), st.binary(max_size=60)
)
several = st.lists(records, min_size=1, max_size=6)


def record(number: int, size: int = 0):
    return ("parley.raw", b"%d" % (number % 3), [("ce_id", b"%d" % number)], b"x" * size)


def read(data: bytes) -> list:
    return [kept(data[one.start : one.end]).record for one in pieces(data) if one.kind == "whole"]


@MANY
@given(several)
def test_a_spool_cut_anywhere_holds_all_that_was_whole(some):
    """At every byte: the records before the cut are read, the rest is one torn piece, and all bytes are accounted for."""
    frames = [frame(Kept(1.0, one)) for one in some]
    whole = b"".join(frames)
    for cut in range(len(whole) + 1):
        found = list(pieces(whole[:cut]))
        ends = [sum(map(len, frames[: place + 1])) for place in range(len(frames))]
        before = [end for end in ends if end <= cut]

        assert some[: len(before)] == read(whole[:cut])
        assert [one for one in found if one.kind != "whole"] == ([("torn", before[-1] if before else 0, cut)] if cut not in [0, *ends] else [])


@MANY
@given(several, st.data())
def test_a_rotten_byte_costs_its_record_and_no_other(some, data):
    """Wherever it stands: all other records are read, in order, and the bytes of this one are told of."""
    frames = [frame(Kept(1.0, one)) for one in some]
    whole = bytearray(b"".join(frames))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    hit = next(number for number in range(len(frames)) if place < sum(map(len, frames[: number + 1])))
    start = sum(map(len, frames[:hit]))

    assert some[:hit] + some[hit + 1 :] == read(bytes(whole))
    assert [(start, start + len(frames[hit]))] == [(one.start, one.end) for one in pieces(bytes(whole)) if one.kind != "whole"]


@MANY
@given(several, st.binary(max_size=40))
def test_pages_that_never_reached_the_disk_are_no_records(some, noise):
    """Zeros or anything else behind the last record: it is told of, and nothing else."""
    whole = b"".join(frame(Kept(1.0, one)) for one in some)

    assert some == read(whole + bytes(16)) == read(whole + noise)
    assert len(whole) + len(noise) == sum(one.end - one.start for one in pieces(whole + noise))


async def all_of(spool, count: int = 100) -> list:
    """Drains the spool."""
    found = []
    while not spool.empty:
        batch = await spool.first(count)
        found += batch.records
        await spool.drained(batch)
    return found


def test_what_goes_in_comes_out_in_order_and_leaves_nothing_behind(tmp_path, run):
    """Over many segments, appended by many at once; drained, the folder is gone."""
    folder, some = tmp_path / "one", [record(number, 300) for number in range(200)]

    async def main():
        spool = opened(folder, 80_000)
        await asyncio.gather(*(spool.append([one], 1.0) for one in some))
        segments, filled = len(list(folder.glob("*.spool"))), (spool.records, spool.left, spool.held, spool.oldest)
        out = await all_of(spool, 7)
        after = (spool.records, spool.left, spool.held, spool.oldest)
        await spool.close()
        return segments, filled, out, after

    segments, filled, out, after = run(main())

    assert some == out
    assert segments >= 1
    assert (200, filled[2], 1.0) == (filled[0], filled[1], filled[3])
    assert (0, 0, 0, None) == after
    assert not folder.exists()


def test_one_fsync_serves_all_who_wait(tmp_path, run, monkeypatch):
    """A hundred at once: the first, then all the others together; and it is done before anybody hears so."""
    synced = []
    real = os.fsync
    monkeypatch.setattr("parley_ingest.spool.os.fsync", lambda file: synced.append(os.fstat(file).st_size) or real(file))

    async def main():
        spool = opened(tmp_path / "one", 1_000_000)
        await asyncio.gather(*(spool.append([record(number, 100)], 1.0) for number in range(100)))
        return spool.left

    size = run(main())

    assert len(synced) <= 4
    assert size == synced[-1]


def test_it_is_bounded(tmp_path, run):
    """What does not fit is refused and leaves no trace; once something is drained, there is room."""

    async def main():
        spool = opened(tmp_path / "one", 2_000)
        taken = 0
        while len(frame(Kept(1.0, record(taken, 100)))) + spool.held <= 2_000:
            await spool.append([record(taken, 100)], 1.0)
            taken += 1
        with pytest.raises(Full, match="of 2000 bytes"):
            spool.append([record(taken, 100)], 1.0)
        size = sum(one.stat().st_size for one in (tmp_path / "one").glob("*.spool"))
        out = await all_of(spool)
        await spool.append([record(0, 100)], 1.0)
        return taken, size, len(out), spool.records

    taken, size, out, after = run(main())

    assert 10 < taken == out
    assert size <= 2_000
    assert 1 == after


def test_a_next_process_finds_what_is_left_and_cuts_what_is_torn(tmp_path, run):
    """Killed while draining and while writing: at most the last batch comes again, the half record does not, and new ones come behind."""
    folder, some = tmp_path / "one", [record(number, 50) for number in range(40)]

    async def first():
        spool = opened(folder, 100_000)
        await spool.append(some, 7.0)
        await spool.drained(await spool.first(10))
        await spool.first(10)  # on the bus, and the process is killed before it is noted
        os.close(spool._lock)

    async def second():
        spool = opened(folder, 100_000)
        found = (spool.records, spool.oldest)
        await spool.append([record(40)], 8.0)
        out = await all_of(spool)
        await spool.close()
        return found, out

    run(first())
    (segment,) = folder.glob("*.spool")
    segment.write_bytes(segment.read_bytes() + frame(Kept(9.0, record(99)))[:-3])
    found, out = run(second())

    assert (30, 7.0) == found
    assert [*some[10:], record(40)] == out


def test_what_is_rotten_is_set_aside_and_the_rest_drained(tmp_path, run):
    """Its bytes stand in a file of their own; nothing is skipped in silence."""
    folder, some = tmp_path / "one", [record(number, 50) for number in range(3)]

    async def fill():
        spool = opened(folder, 100_000)
        await spool.append(some, 7.0)
        await spool.close()

    async def drain():
        spool = opened(folder, 100_000)
        out = await all_of(spool)
        await spool.close()
        return out, spool.set_aside

    run(fill())
    (segment,) = folder.glob("*.spool")
    size = len(frame(Kept(7.0, some[0])))
    spoiled = bytearray(segment.read_bytes())
    spoiled[size + 40] ^= 1
    segment.write_bytes(spoiled)
    out, aside = run(drain())
    (kept_,) = folder.glob("*.aside")

    assert ([some[0], some[2]], 1) == (out, aside)
    assert bytes(spoiled[size : 2 * size]) == kept_.read_bytes()
    assert [kept_] == list(folder.glob("*0*"))


def test_a_disk_that_fails_is_said_and_promises_nothing(tmp_path, run, monkeypatch):
    """Whoever waits hears `Full`; what was promised before stays, and afterwards it goes on in a new segment."""
    real = os.fsync

    def broken(file: int) -> None:
        raise OSError(5, "Input/output error")

    async def main():
        spool = opened(tmp_path / "one", 100_000)
        await spool.append([record(0)], 1.0)
        monkeypatch.setattr("parley_ingest.spool.os.fsync", broken)
        with pytest.raises(Full, match="Input/output"):
            await spool.append([record(1)], 1.0)
        monkeypatch.setattr("parley_ingest.spool.os.fsync", real)
        await spool.append([record(2)], 1.0)
        os.close(spool._lock)
        again = opened(tmp_path / "one", 100_000)
        return spool.records, await all_of(again)

    assert (2, [record(0), record(2)]) == run(main())


def test_an_empty_segment_of_a_killed_process_holds_nobody_up(tmp_path, run):
    """Killed between making a segment and writing to it: what stands behind is reached, and nothing is left of the empty one."""
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / f"{1:020d}.spool").touch()

    async def main():
        spool = opened(folder, 100_000)
        await spool.append([record(0)], 1.0)
        batch = await spool.first(10)
        await spool.drained(batch)
        return batch.records, spool.empty, spool.held, list(folder.glob("*.spool"))

    assert ([record(0)], True, 0, []) == run(main())


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.just("fail"), st.sampled_from(("fsync", "ftruncate"))),
        st.tuples(st.just("drain"), st.integers(1, 3)),
        st.tuples(st.just("kill"), st.sampled_from(("now", "begun", "torn", "before it was noted"))),
    ),
    max_size=12,
)


@options(max_examples=300, deadline=None)
@given(steps)
def test_whatever_befalls_disk_and_process_all_that_was_promised_comes_out_in_order(doings):
    """Failing disks, kills at any place, drains between: a bounded number of looks empties the spool, and only a batch that was not noted comes twice."""
    with tempfile.TemporaryDirectory() as folder:
        expected, out = asyncio.run(befallen(Path(folder) / "one", doings))

    assert expected == out


async def befallen(folder: Path, doings: list) -> tuple[list, list]:
    """What must come out of a spool to which this happens, and what does."""
    spool, out, next_ = opened(folder, 100_000), [], 0
    for what, how in doings:
        if what == "append":
            some = [record(next_ + one, 400) for one in range(how)]
            next_ += how
            await spool.append(some, 1.0)
        elif what == "fail":
            await failing(spool, how)
        elif what == "drain":
            batch = await spool.first(how)
            await spool.drained(batch)
            out += batch.records
            assert batch.records or spool.empty, "it finds what it counts"
        else:
            spool = await killed(spool, how)
    looks = 0
    while not spool.empty and (looks := looks + 1) < 100:
        batch = await spool.first(3)
        await spool.drained(batch)
        out += batch.records
    held = spool.held
    await spool.close()
    assert (0, 0) == (spool.left, held)
    return [record(one, 400) for one in range(next_)], [one for one in out if one != UNSURE]


UNSURE = record(99, 10)


async def failing(spool, call: str) -> None:
    """A disk that fails once; nothing of this record is promised, so it may come out (where it could not be cut either) or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("parley_ingest.spool.os.fsync", out_of_order)
        if call == "ftruncate":
            patch.setattr("parley_ingest.spool.os.ftruncate", out_of_order)
        with pytest.raises(Full):
            await spool.append([UNSURE], 1.0)


def out_of_order(*_: object) -> None:
    raise OSError(5, "Input/output error")


async def killed(spool, how: str):
    """The spool of the next process."""
    if how == "before it was noted":
        await spool.first(2)
    spool._disk.shutdown()
    spool._end()
    os.close(spool._lock)
    later = spool.folder / f"{time.time_ns():020d}.spool"
    if how == "begun":
        later.touch()
    elif how == "torn":
        later.write_bytes(frame(Kept(1.0, record(99)))[:-3])
    return opened(spool.folder, 100_000)


def test_two_processes_do_not_share_a_spool(tmp_path):
    """The second one is told so at its start; a folder that cannot be made too."""
    (tmp_path / "file").write_text("")
    one = opened(tmp_path / "one", 1000)
    with pytest.raises(SettingsError, match="PARLEY_SPOOL: .* of a process that runs"):
        opened(tmp_path / "one", 1000)
    with pytest.raises(SettingsError, match="PARLEY_SPOOL: .* cannot be used"):
        opened(Path(tmp_path / "file" / "one"), 1000)

    assert one.empty


def test_a_place_that_cannot_be_read_means_the_beginning(tmp_path, run):
    """A repeat does no harm, a hole does."""
    folder = tmp_path / "one"

    async def main():
        spool = opened(folder, 100_000)
        await spool.append([record(0), record(1)], 1.0)
        await spool.drained(await spool.first(1))
        await spool.close()
        (folder / "position").write_text("what")
        return await all_of(opened(folder, 100_000))

    assert [record(0), record(1)] == run(main())


def test_no_frame_begins_inside_a_text():
    """What resumes reading behind rotten bytes cannot be made by who writes a body: its first bytes are no UTF-8."""
    with pytest.raises(UnicodeDecodeError):
        spoolfile.MARK.decode()
