"""Who follows a link: the rules, their figures on a corpus, and that nothing hangs on how the hits arrive."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.contracts import Channel
from parley_ingest import agents
from parley_ingest.judge import AHEAD, BEHIND, NOTHING_KNOWN, TOGETHER, Hit, Sent, judged, of_provider
from parley_ingest.tracking import Link, client, seen
from tests.engagement_corpus import BROWSERS, PEOPLE, ROBOTS, T0, table

PAGE = Path(__file__).parents[1] / "docs" / "engagement.md"
BROWSER, OTHER = BROWSERS[0], BROWSERS[-1]
MESSAGE = UUID(int=1)


def hit(seconds: float = 0, code: str = "a", number: int | None = None, **more: object) -> Hit:
    """A person's click, with changes."""
    plain = {"kind": "clicked", "method": "GET", "agent": BROWSER, "ahead": False, "language": True, "client": "c"}
    return Hit(
        UUID(int=int(seconds * 1000) + 10_000 if number is None else number), MESSAGE, code, at=T0 + timedelta(seconds=seconds), **{**plain, **more}
    )


def reasons(*hits: Hit, sent: Sent = NOTHING_KNOWN, clients: Mapping[str, list[tuple[datetime, UUID]]] | None = None) -> list[str]:
    """By whom and why, in the order of the hits."""
    found = judged(hits, sent, clients or {})
    return [":".join(found[one.id]) for one in hits]


# --- the rules -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said, more", [
    ("human:no_sign", {}), ("prefetch:declared", {"ahead": True}), ("scanner:head", {"method": "HEAD"}), ("unknown:no_agent", {"agent": ""}),
    ("scanner:agent", {"agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}), ("scanner:no_language", {"language": False}),
    ("prefetch:proxy", {"agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}), ("prefetch:privacy", {"agent": "Mozilla/5.0"}),
    ("human:no_sign", {"kind": "opened", "language": False}),
])  # fmt: skip
def test_one_request_says_what_it_says(said, more):
    """Each rule that looks at the request alone."""
    assert [said] == reasons(hit(**more))


def test_three_links_in_two_seconds_are_a_burst_and_two_are_a_person():
    """All of the burst are machine's, whoever made them; two links, or one three times, are not; nor what is a moment later."""
    three = [hit(0, "a"), hit(1, "b", client="d", agent=OTHER), hit(2, "c", client="e")]
    slow = [hit(0, "a"), hit(1, "b"), hit(2.001, "c")]

    assert ["scanner:burst"] * 3 == reasons(*three)
    assert ["human:no_sign"] * 3 == reasons(*slow)
    assert ["human:no_sign"] * 4 == reasons(hit(0, "a"), hit(0.4, "a"), hit(0.8, "a"), hit(1.2, "b"))


def test_pictures_make_no_burst():
    """An open and two links within two seconds are a person who reads fast."""
    assert ["human:no_sign"] * 3 == reasons(hit(0, "pixel", kind="opened"), hit(0.5, "a"), hit(1, "b"))


def test_who_made_a_burst_stays_a_machine_for_a_minute():
    """The same client with the same message: also its next link and its picture; another client is a person."""
    burst = [hit(0, "a"), hit(0.1, "b"), hit(0.2, "c")]
    after = [hit(30, "d"), hit(31, "pixel", kind="opened"), hit(30.5, "a", client="other"), hit(61, "a")]

    assert ["scanner:client", "scanner:client", "human:no_sign", "human:no_sign"] == reasons(*burst, *after)[3:]


def test_a_get_behind_a_head_is_its_second_half():
    """Of the same link and client within ten seconds."""
    head = hit(0, "a", method="HEAD")

    assert ["scanner:head", "scanner:after_head"] == reasons(head, hit(9.9, "a"))
    assert ["scanner:head", "human:no_sign"] == reasons(head, hit(1, "a", client="other"))


@pytest.mark.parametrize("seconds, channel, said", [
    (2.9, Channel.EMAIL, "scanner:soon"), (3.1, Channel.EMAIL, "human:no_sign"), (-0.1, Channel.EMAIL, "human:no_sign"), (1, Channel.SMS, "human:no_sign"),
    (1, None, "human:no_sign"),
])  # fmt: skip
def test_nobody_reads_a_mail_within_three_seconds(seconds, channel, said):
    """After it was minted, sent or delivered. In a chat one may."""
    assert [said] == reasons(hit(seconds), sent=Sent(channel, (T0 - timedelta(hours=1), T0)))


def test_a_picture_fetched_on_arrival_is_a_prefetch():
    assert ["prefetch:soon"] == reasons(hit(1, kind="opened"), sent=Sent(Channel.EMAIL, (T0,)))


@pytest.mark.parametrize("others, said", [(4, "scanner:fleet"), (3, "human:no_sign")])
def test_one_client_with_the_links_of_many_is_a_machine(others, said):
    """Five messages in ten seconds; an address that is not public is nobody's."""
    reached = {"c": [(T0 + timedelta(seconds=place), UUID(int=50 + place)) for place in range(others)]}

    assert [said] == reasons(hit(4), clients=reached)
    assert ["human:no_sign"] == reasons(hit(4, client=None), clients=reached)


@pytest.mark.parametrize("said, machine, agent", [
    ("prefetch:provider", True, BROWSER), ("human:provider", False, BROWSER), ("scanner:agent", False, "curl/8"), ("scanner:agent", None, "curl/8"),
    ("prefetch:privacy", None, "Mozilla/5.0"), ("unknown:provider", None, BROWSER), ("unknown:provider", None, None),
])  # fmt: skip
def test_a_provider_is_believed_and_its_silence_is_no_person(said, machine, agent):
    """Its flag, then the agent that it tells; else nobody knows."""
    assert said == ":".join(of_provider(machine, agent))


# --- agents and clients ----------------------------------------------------------------------------------------------------------------


def test_no_browser_is_a_robot_and_no_robot_a_browser():
    """Apps in which links open are browsers too."""
    assert {"other"} == {agents.kind(agent) for agent in BROWSERS}
    assert {"machine"} >= {agents.kind(agent) for agent in ROBOTS} - {"proxy"}


def test_a_client_is_known_for_an_hour_and_only_to_us():
    """The same word for one address and agent, in IPv6 for one /64; another in the next hour, for other agents and keys; none for private addresses."""
    one = client("8.8.8.8", BROWSER, b"key", T0)

    assert one == client("8.8.8.8", BROWSER, b"key", T0 + timedelta(minutes=59))
    assert client("2606:4700::1:1", BROWSER, b"key", T0) == client("2606:4700::1:2", BROWSER, b"key", T0)
    others = [
        ("8.8.4.4", BROWSER, b"key", T0),
        ("8.8.8.8", OTHER, b"key", T0),
        ("8.8.8.8", BROWSER, b"", T0),
        ("8.8.8.8", BROWSER, b"key", T0 + timedelta(hours=1)),
    ]
    assert 5 == len({one, *(client(*other) for other in others)})
    assert [None] * 4 == [client(host, BROWSER, b"key", T0) for host in ("127.0.0.1", "10.1.2.3", "100.64.0.1", "")]


@given(
    agent=st.text(st.characters(max_codepoint=255), max_size=600),
    ahead=st.none()
    | st.tuples(st.sampled_from(["sec-purpose", "purpose", "x-purpose", "x-moz"]), st.sampled_from(["prefetch", "Prefetch;prerender", "preview"])),
)
def test_what_is_kept_of_a_request_can_be_kept(agent, ahead):
    """Any header: the agent is cut and can be stored, a browser that fetches ahead is heard."""
    link = Link("acme", UUID(int=1), MESSAGE, "https://shop.example", "link")
    headers = {"user-agent": agent, **({ahead[0]: ahead[1]} if ahead else {})}
    found = seen(link, "code12", "clicked", "GET", headers, None, T0)

    assert len(found.agent) <= 500 and "\0" not in found.agent
    assert (ahead is not None, False) == (found.ahead, found.language)


# --- nothing hangs on how they arrive --------------------------------------------------------------------------------------------------

one_hit = st.builds(
    hit,
    seconds=st.integers(0, 150_000).map(lambda milliseconds: milliseconds / 1000) | st.integers(0, 8).map(float),
    code=st.sampled_from("abcd"), number=st.integers(0, 10**6), kind=st.sampled_from(["clicked", "clicked", "opened"]),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD"]), agent=st.sampled_from([BROWSER, OTHER, "", "curl/8"]), client=st.sampled_from(["c", "d", None]),
    language=st.booleans(), ahead=st.booleans(),
)  # fmt: skip
some_hits = st.lists(one_hit, max_size=14, unique_by=lambda one: one.id)


@given(hits=some_hits, order=st.randoms(use_true_random=False), repeats=st.data())
def test_order_and_repetition_change_no_verdict(hits, order, repeats):
    """A shuffled log with repeats is the log."""
    again = [*hits, *(repeats.draw(st.lists(st.sampled_from(hits))) if hits else [])]
    order.shuffle(again)

    assert judged(hits) == judged(again)


@given(hits=some_hits, data=st.data())
def test_a_verdict_needs_a_minute_before_and_two_seconds_after(hits, data):
    """Wherever the hits are cut, if those around the one are there its verdict is the same: what is judged once never has to be corrected."""
    whole = judged(hits)
    for one in hits:
        first = data.draw(st.timedeltas(BEHIND + TOGETHER, timedelta(days=1)))
        last = data.draw(st.timedeltas(AHEAD, timedelta(days=1)))

        assert whole[one.id] == judged([other for other in hits if -first <= other.at - one.at <= last])[one.id]


# --- the figures -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_machines_are_found_and_people_are_not_lost(seed):
    """At least 95 of 100 hits of machines, whether every hit counts the same or every shape; at most 1 of 100 of people."""
    figures = table(seed)
    people = {name: one for name, one in figures.items() if name in {shape.__name__ for shape in PEOPLE}}
    machines = {name: one for name, one in figures.items() if name not in people}

    assert 0.95 <= _share(machines)
    assert 0.95 <= sum(share for share in _shapes(machines).values()) / len(_shapes(machines))
    assert 0.99 <= _share(people)
    assert {"delayed_browser"} == {name for name, one in machines.items() if _share({name: one}) < 0.9}


def _share(figures: Mapping[str, tuple[int, int]]) -> float:
    return sum(right for _, right in figures.values()) / sum(count for count, _ in figures.values())


def _shapes(machines: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """The share by the shapes as they are named in the page: all delayed ones are one."""
    names = {name: name.partition("_")[0] if name.startswith("delayed") else name for name in machines}
    return {shape: _share({name: one for name, one in machines.items() if names[name] == shape}) for shape in set(names.values())}


def test_the_page_states_these_figures():
    """The table in docs/engagement.md is the one of the first corpus."""
    stated = {name: (int(count.replace(",", "")), float(share)) for name, count, share in
              re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \| ([\d.]+) % \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}  # fmt: skip

    assert {name: (count, round(100 * right / count, 1)) for name, (count, right) in table(1).items()} == stated
