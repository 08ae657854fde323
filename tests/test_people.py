"""Who is who: whatever order, repetition and cut of what is said, the same addresses are one person's; and the contacts follow, in the database too."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st

from parley import database as db
from parley.addresses import Address, of_customer
from parley.contracts import ContactMerged, ContactParted, Customer, CustomerEvent
from parley.step import Arrived
from parley_ingest.merging import EPOCH, IDENTIFIED, MERGED, UNMERGED, Held, Tie, folded, moves, people, said, settled
from tests.ingesting import NOW
from tests.test_normalise_races import Book, arrived

CUSTOMERS = [Customer(id=f"c{number}") for number in range(3)]
SINGLE = [*CUSTOMERS, *(Customer(addresses={"sms": f"+82100000000{number}"}) for number in range(3)), Customer(addresses={"email": "a@b.example"})]


def event(name: str, who: Customer, other: Customer | None = None, *, minute: int = 0) -> CustomerEvent:
    properties = {"other": other.model_dump(mode="json", exclude_defaults=True)} if other else {}
    return CustomerEvent(customer=who, name=name, properties=properties, occurred_at=NOW - timedelta(minutes=100 - minute))


@st.composite
def words(draw, size: int = 10) -> list[CustomerEvent]:
    """Events that say who is who, in the order of their times, each at a time of its own."""
    found = []
    for minute in range(draw(st.integers(1, size))):
        name = draw(st.sampled_from((IDENTIFIED, MERGED, MERGED, UNMERGED)))
        who, other = draw(st.permutations(SINGLE))[:2]
        if name == IDENTIFIED:
            addresses = draw(st.lists(st.sampled_from(SINGLE[3:]), min_size=1, max_size=2))
            who = Customer(id=draw(st.sampled_from(CUSTOMERS)).id, addresses={key: one for each in addresses for key, one in each.addresses.items()})
            found.append(event(name, who, minute=minute))
        else:
            found.append(event(name, who, other, minute=minute))
    return found


def oracle(events: Iterable[CustomerEvent]) -> set[frozenset[Address]]:
    """The partition, told step by step in the order of time: pairs that are joined, who was identified with an address, in the order in which it was said."""
    joined, owners, everybody = set(), {}, set()
    for one in sorted(events, key=lambda one: one.occurred_at):
        here = of_customer("t", one.customer)
        there = of_customer("t", Customer.model_validate(one.properties["other"])) if one.name != IDENTIFIED else ()
        everybody |= {*here, *there}
        if one.name == IDENTIFIED:
            for address in here[1:]:
                owners[address] = [*(known for known in owners.get(address, []) if known != here[0]), here[0]]
        for pair in (frozenset((a, b)) for a in here for b in there):
            (joined.add if one.name == MERGED else joined.discard)(pair)
            for address, customer in ((a, b) for a in pair for b in pair if one.name == UNMERGED):
                owners[address] = [known for known in owners.get(address, []) if known != customer]
    pairs = joined | {frozenset((address, known[-1])) for address, known in owners.items() if known}
    persons = [{one} for one in everybody]
    for pair in pairs:
        touched = [one for one in persons if one & pair]
        persons = [one for one in persons if not one & pair] + [set().union(*touched)]
    return {frozenset(one) for one in persons}


def partition(events: Iterable[CustomerEvent]) -> set[frozenset[Address]]:
    events = list(events)
    ties = folded(tie for one in events for tie in said("t", one, NOW))
    return {frozenset(one) for one in people({one for tie in ties for one in (tie.one, tie.other)}, ties)}


# --- values alone -------------------------------------------------------------------------------------------------------------------------


@given(words(), st.data())
def test_any_order_and_repetition_give_the_people_of_the_oracle(events, data):
    """Property: what was said decides, never when it arrived or how often."""
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))

    assert oracle(events) == partition(shuffled)


@given(words(), st.data())
def test_contacts_follow_step_by_step_whatever_the_order(events, data):
    """Property: each person has one contact and each contact one person, however the words are cut; who has been heard of hears every change."""
    ties: list[Tie] = []
    held: dict[Address, Held] = {}
    heard: dict[UUID, UUID | None] = {}
    order = data.draw(st.permutations(events))
    while order:
        count = data.draw(st.integers(1, 3))
        batch, order = order[:count], order[count:]
        new = [tie for one in batch for tie in said("t", one, NOW)]
        fresh = frozenset(one for tie in new for one in (tie.one, tie.other)) - held.keys()
        before = [*held.values(), *(Held(one, uuid4(), None, NOW + timedelta(seconds=len(held))) for one in sorted(fresh))]
        ties = folded([*ties, *new])
        after = settled(before, ties, fresh)
        known, goes = {one.founds for one in held.values()}, {one.founds: one.contact for one in after}
        for move in moves(before, after, fresh, NOW):
            assert move.contact_id in known
            assert isinstance(move, ContactMerged) or goes[move.contact_id] != move.other
            if isinstance(move, ContactMerged):
                heard[move.contact_id] = move.into
        held = {one.address: one for one in after}
    persons: dict[UUID, set[Address]] = {}
    for one in held.values():
        persons.setdefault(one.contact, set()).add(one.address)

    assert oracle(events) == {frozenset(one) for one in persons.values()}
    assert {one.founds: one.contact for one in held.values() if one.founds in heard} == {one: into or one for one, into in heard.items()}
    assert all(any(one.founds == one.contact for one in held.values() if one.contact == contact) for contact in persons)


def test_a_number_with_a_new_owner_joins_nobody():
    """Two customers' ids that were identified with one number stay two people; the number is the later one's, and the first one's again after an undo."""
    phone = Customer(addresses={"sms": "+821000000000"})
    first, second = (event(IDENTIFIED, Customer(id=name, addresses=phone.addresses), minute=at) for name, at in (("a", 1), ("b", 2)))
    undone = event(UNMERGED, Customer(id="b"), phone, minute=3)
    a, b, number = Address("t", "customer", "a"), Address("t", "customer", "b"), Address("t", "phone", "+821000000000")

    assert {frozenset((a,)), frozenset((b, number))} == partition([second, first])
    assert {frozenset((a, number)), frozenset((b,))} == partition([undone, second, first])


def test_what_claims_to_be_of_the_future_is_said_now():
    """Else it would outlast every later word."""
    (tie,) = said("t", CustomerEvent(customer=SINGLE[0], name=MERGED, properties={"other": {"id": "z"}}, occurred_at=NOW + timedelta(days=999)), NOW)

    assert NOW == tie.merged


def test_a_chain_undone_in_its_middle_leaves_both_ends():
    """a-b-c, then b and c apart: c is on its own again, under the contact that it had."""
    a, b, c = (Address("t", "customer", one) for one in "abc")
    ids = {one: UUID(int=number) for number, one in enumerate((a, b, c), 1)}
    alone = [Held(one, ids[one], ids[one], EPOCH + timedelta(days=number)) for number, one in enumerate((a, b, c))]
    joined = [Tie.between(a, b), Tie.between(b, c)]
    chain = settled(alone, [Tie(one.one, one.other, merged=NOW) for one in joined], frozenset())
    later = NOW + timedelta(seconds=1)
    apart = settled(chain, [Tie(a, b, merged=NOW), Tie(b, c, merged=NOW, apart=later)], frozenset())
    back, free = moves(chain, apart, frozenset(), later)

    assert {ids[a]} == {one.contact for one in chain}
    assert [ids[a], ids[a], ids[c]] == [one.contact for one in apart]
    assert (ids[a], ids[c], (ids[c],)) == (back.contact_id, back.other, back.contacts) and isinstance(back, ContactParted)
    assert (ids[c], None) == (free.contact_id, free.into)


@pytest.mark.parametrize("other", [None, {}, {"id": ""}, {"addresses": {"sms": "12"}}, {"addresses": {"pigeon": "x"}}])
def test_a_merge_that_names_nobody_is_refused_in_words(other):
    """It says which part is wrong and does not repeat an address."""
    with pytest.raises(ValueError, match="properties.other|E.164"):
        said("t", CustomerEvent(customer=SINGLE[0], name=MERGED, properties={"other": other}, occurred_at=NOW), NOW)


# --- two normalisers on one database -----------------------------------------------------------------------------------------------------


def of_tenants(events: list[CustomerEvent]) -> list[Arrived]:
    """The same words at two tenants, which must not notice each other; and orders that name the same people in between."""
    found = []
    for number, one in enumerate(events):
        for tenant in ("acme", "other"):
            entry = arrived(tenant, one.customer, f"{tenant}-{number}")
            found.append(Arrived(entry.event.model_copy(update={"data": one}), entry.place, 0, None))
    return found


@pytest.mark.stack
def test_two_normalisers_join_and_part_alike(database):
    """Property: any order, repetition and cut of what is said over two normalisers at once gives the people of the oracle; tenants share none."""
    with asyncio.Runner() as runner:
        book = Book(database)
        runner.run(book.__aenter__())

        @options(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(words(8), st.data())
        def holds(events, data):
            mixed = data.draw(st.permutations(of_tenants(events) * 2))
            hands = [[mixed[at : at + 3] for at in range(hand * 3, len(mixed), 6)] for hand in (0, 1)]
            strangers = [[arrived(tenant, one, f"s-{tenant}-{n}")] for tenant in ("acme", "other") for n, one in enumerate(SINGLE)]

            async def main():
                await book.pool.execute("TRUNCATE seen, addresses, ties, merges")
                await asyncio.gather(*(book.normalise(hand) for hand in (hands[0] + strangers, hands[1])))
                return await book.pool.fetch("SELECT tenant, scheme, address, contact_id, founds FROM addresses")

            rows = runner.run(main())
            for tenant in ("acme", "other"):
                persons: dict[UUID, set[Address]] = {}
                for row in rows:
                    if row["tenant"] == tenant:
                        persons.setdefault(row["contact_id"], set()).add(Address("t", row["scheme"], row["address"]))
                strange = {frozenset(of_customer("t", one)) for one in SINGLE}
                named = oracle(events)

                assert named | {one for one in strange if not any(one <= each for each in named)} == {frozenset(one) for one in persons.values()}
                assert set(persons) <= {row["founds"] for row in rows if row["tenant"] == tenant}
            assert not {row["contact_id"] for row in rows if row["tenant"] == "acme"} & {
                row["contact_id"] for row in rows if row["tenant"] == "other"
            }

        holds()
        runner.run(book.__aexit__())


@pytest.mark.stack
def test_a_and_b_and_b_and_a_at_once_end_in_one(database, run):
    """Two normalisers join the same two the other way round: one survivor, the older, told once."""

    async def main():
        async with Book(database) as book:
            for number, one in enumerate(CUSTOMERS[:2]):
                await book.normalise([[arrived("acme", one, f"s{number}")]])
            a, b = (event(MERGED, one, other) for one, other in ((CUSTOMERS[0], CUSTOMERS[1]), (CUSTOMERS[1], CUSTOMERS[0])))
            await asyncio.gather(*(book.normalise([[told(one, f"m{number}")]]) for number, one in enumerate((a, b))))
            old = await book.pool.fetchval("SELECT founds FROM addresses WHERE address = 'c0'")
            journal = await book.pool.fetch("SELECT kind, other FROM merges")
            return old, {row[0] for row in await book.pool.fetch("SELECT contact_id FROM addresses")}, [tuple(row) for row in journal]

    old, contacts, journal = run(main())

    assert ({old}, [("merged", old)]) == (contacts, journal)


def told(one: CustomerEvent, event_id: str, tenant: str = "acme") -> Arrived:
    entry = arrived(tenant, one.customer, event_id)
    return Arrived(entry.event.model_copy(update={"data": one}), entry.place, 0, None)


@pytest.mark.stack
def test_an_order_that_names_a_customer_and_their_number_joins_them(database, run):
    """Whichever was known first, or both: id and number are one person's; another customer's number stays theirs."""
    number = {"sms": "+821000000000"}

    async def main():
        async with Book(database) as book:
            found = [await book.normalise([[arrived("acme", Customer(id="c"), "e1")]])]
            found.append(await book.normalise([[arrived("acme", Customer(addresses=number), "e2")]]))
            found.append(await book.normalise([[arrived("acme", Customer(id="c", addresses=number), "e3")]]))
            found.append(await book.normalise([[arrived("acme", Customer(id="d", addresses=number), "e4")]]))
            found.append(await book.normalise([[arrived("acme", Customer(addresses=number), "e5")]]))
            return [{contact for _, _, contact in one} for one in found]

    first, second, third, fourth, last = run(main())

    assert (1, 1, True) == (len(first), len(second), first != second)
    assert first == third == last
    assert fourth != last


@pytest.mark.stack
def test_people_of_an_older_book_stay_together(empty_database, run):
    """The migration makes ties of what was one contact: an undo of one address later takes that one alone."""

    async def main():
        pool = await db.connect(empty_database, "ingest", size=2)
        before = [(name, text) for name, text in db.migrations("parley", "parley_ingest") if name < "parley_ingest/0004"]
        await pool.execute("CREATE SCHEMA ingest; CREATE TABLE migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())")
        for name, text in before:
            await pool.execute(text)
            await pool.execute("INSERT INTO migrations (name) VALUES ($1)", name)
        known = [("customer", "c0"), ("email", "a@b.example"), ("phone", "+821000000000")]
        person = uuid4()
        await pool.executemany(
            "INSERT INTO addresses (tenant, scheme, address, contact_id) VALUES ('acme', $1, $2, $3)", [(*one, person) for one in known]
        )
        await pool.close()
        async with Book(empty_database) as book:
            await book.normalise([[told(event(UNMERGED, SINGLE[0], SINGLE[3]), "u")]])
            rows = await book.pool.fetch("SELECT address, contact_id FROM addresses ORDER BY scheme")
            return person, {row["address"]: row["contact_id"] for row in rows}

    person, found = run(main())

    assert person == found["c0"] == found["a@b.example"] != found["+821000000000"]
