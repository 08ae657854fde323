"""What the normaliser makes of messages that come without ids and in parts: each once, whole, and none taken for another."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from parley import wire
from parley.channels import gsm, smpp
from parley.channels.shape import Account, Request
from parley.contracts import Channel, Envelope, RawReceived
from parley_ingest.normalise import Found
from parley_ingest.pieces import AGAIN, TOGETHER, Told, unheard
from tests.ingesting import NOW, Shared
from tests.test_channel_smpp import pdu
from tests.test_normalise import about, settled

ACCOUNT = Account("op", "acme", "smpp", Channel.SMS, "+447700900100")
MINUTE = timedelta(minutes=1)


def told(words: bytes, connection: str, minute: float, sequence: int = 1, **more: object) -> Told:
    (item,) = smpp.parse(Request("SMPP", "", {smpp.CONNECTION: connection}, pdu(short_message=words, sequence=sequence, **more)), ACCOUNT)
    found = Found(None, UUID(int=sequence), "acme", ACCOUNT, item, NOW + minute * MINUTE)
    return Told(found, "op", item, item.piece)


def kept(*some: Told) -> list[int]:
    """Which of them are no repeat, by their place."""
    numbered = [replace(one, found=replace(one.found, id=UUID(int=place))) for place, one in enumerate(some)]
    return [one.found.id.int for one in unheard(numbered, {})]


@pytest.mark.parametrize(
    "said, new",
    [
        ([(b"1", "a", 0), (b"1", "a", 0.1)], [0, 1]),  # the customer tapped twice
        ([(b"1", "a", 0), (b"1", "b", 1)], [0]),  # the operator had no answer over the first bind
        ([(b"1", "a", 0), (b"1", "b", 1), (b"1", "b", 2)], [0, 2]),  # a repeat is one
        ([(b"1", "a", 0), (b"1", "b", 11)], [0, 1]),
        ([(b"1", "a", 0), (b"2", "b", 1)], [0, 1]),
    ],
)
def test_a_repeat_is_told_from_a_second_message(said, new):
    """By the connection, within minutes."""
    assert AGAIN == 10 * MINUTE
    assert new == kept(*(told(*one) for one in said))


def test_a_part_said_twice_is_a_repeat_by_whatever_connection():
    """No phone uses a reference again within minutes; another part, and another reference, are something else."""
    first, second, other = (gsm.header(*one) + b"x" for one in ((9, 2, 1), (9, 2, 2), (10, 2, 1)))
    some = [told(words, "a", place, esm_class=0x40) for place, words in enumerate((first, first, second, other))]

    assert [0, 2, 3] == kept(*some)


# --- on real Kafka and PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("pieces")
    with Shared(stack, folder) as one:
        yield one


@pytest.fixture
def ingest(shared, monkeypatch):
    """With an account at an operator beside the others."""
    accounts = shared.ingest.one.context.config.accounts
    monkeypatch.setitem(accounts, "op", ACCOUNT)
    return shared.ingest


@pytest.fixture
def sender() -> str:
    return f"4477{uuid4().int % 10**8:08}"


def raw(sender: str, words: bytes, connection: str = "a", sequence: int = 1, at: datetime = NOW, **more: object) -> Envelope:
    """A PDU as the bind puts it on the bus."""
    body = base64.b64encode(pdu(source_addr=sender, short_message=words, sequence=sequence, **more)).decode()
    data = RawReceived(account="op", sender=f"+{sender}", method="SMPP", headers={smpp.CONNECTION: connection}, body=body, received_at=at)
    number = wire.natural_id("raw", "op", connection, body)
    return Envelope(id=str(number), source="parley/smpp/op", time=at, tenant="acme", started_at=at, data=data)


def part(sender: str, text: str, place: int, **more: object) -> Envelope:
    """One of the parts of a text, as a phone sends it."""
    sms = gsm.encoded(text)
    words = gsm.header(9, len(sms.parts), place + 1) + sms.parts[place]
    return raw(sender, words, sequence=100 + place, esm_class=0x40, data_coding=8 if sms.alphabet == "ucs2" else 0, **more)


def texts(shared, ingest, sender: str, *events: Envelope) -> list[str | None]:
    async def main():
        await settled(ingest, *events)
        return await about(ingest, "parley.inbound", sender)

    return [one.data.text for one in shared.run(main())]


@pytest.mark.stack
def test_a_message_comes_whole_in_whatever_order_its_parts_come(shared, ingest):
    """Joined as octets, once, with parts repeated and another message between."""
    text = "안녕하세요 🙂 " * 20
    found = []
    for order in permutations(range(3)):
        sender = f"4477{uuid4().int % 10**8:08}"
        parts = [part(sender, text, place) for place in order]
        again = replace_connection(parts[0], "b")
        found.append(texts(shared, ingest, sender, parts[0], raw(sender, b"between"), parts[1], again, parts[2], replace_connection(parts[1], "b")))

    assert [["between", text]] * 6 == found


def replace_connection(event: Envelope, connection: str) -> Envelope:
    """The same delivery by another bind, where it has another number."""
    data = event.data.model_copy(update={"headers": {smpp.CONNECTION: connection}})
    return event.model_copy(update={"data": data, "id": str(uuid4())})


@pytest.mark.stack
def test_the_same_words_are_one_message_after_a_break_and_two_before(shared, ingest, sender):
    """A delivery that comes again as it was is known by its connection and number."""
    first, second = raw(sender, b"yes", "a", 1), raw(sender, b"yes", "a", 2)
    repeat, tomorrow = raw(sender, b"yes", "b", 1), raw(sender, b"yes", "c", 1, NOW + timedelta(days=1))

    assert ["yes"] * 3 == texts(shared, ingest, sender, first, first, second, repeat, tomorrow)


@pytest.mark.stack
def test_a_part_whose_others_never_came_spoils_no_later_message(shared, ingest, sender):
    """The reference is used again a day later; parts that lie together that far apart are not one message."""
    old, later = "a" * 300, NOW + TOGETHER + MINUTE
    new = "b" * 300

    assert [new] == texts(shared, ingest, sender, part(sender, old, 0), part(sender, new, 1, at=later), part(sender, new, 0, at=later + MINUTE))


@pytest.mark.stack
def test_what_no_repeat_can_belong_to_is_forgotten(shared, ingest, sender):
    """Words after a day, parts after thirty; younger ones stay."""

    async def main():
        from parley_ingest import pieces

        pool = ingest.one.context.pool
        await settled(ingest, raw(sender, b"hi"), part(sender, "a" * 300, 0))
        left = []
        for age in (timedelta(hours=1), timedelta(days=2), timedelta(days=31)):
            await pieces.forget(pool, NOW + age)
            left.append(
                [await pool.fetchval(f"SELECT count(*) FROM {table} WHERE heard_at = $1 AND account = 'op'", NOW) for table in ("heard", "parts")]
            )
        return left

    (heard, parts), *older = shared.run(main())

    assert heard >= 2 and parts >= 1
    assert [[0, parts], [0, 0]] == older
