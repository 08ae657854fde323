"""Clicks as they come, people's and machines', each under the name of its shape: what the rules of `parley_ingest.judge` are measured with.

What the shapes are made of: docs/engagement.md. One seed, one corpus.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from parley.contracts import Channel
from parley_ingest.judge import Hit, Kind, Sent, Verdict, judged

T0 = datetime(2026, 11, 24, 9, tzinfo=UTC)
DAY = 86_400.0

_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; SM-S921N Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.122"
)
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"
BROWSERS = (
    f"{_IPHONE} Version/18.6 Mobile/15E148 Safari/604.1", f"{_IPHONE} Mobile/15E148 NAVER(inapp; search; 2000; 12.6.2; 15PRO)",
    f"{_IPHONE} Mobile/15E148 Instagram 300.0.0.0 (iPhone14,5; iOS 18_6; ko_KR; ko; scale=3.00)", f"{_IPHONE} Mobile/15E148 Safari Line/14.9.1",
    f"{_IPHONE} GSA/340.3 Mobile/15E148 Safari/604.1", f"{_IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/480.0.0.0;FBDV/iPhone15,2]",
    f"{_ANDROID} Mobile Safari/537.36;KAKAOTALK 2410840", f"{_ANDROID} Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/450.0.0.0;]",
    f"{_ANDROID} Mobile Safari/537.36 trill_340 BytedanceWebview/d8a21c6 musical_ly", f"{_ANDROID} Mobile Safari/537.36 Slack/24.05",
    "Mozilla/5.0 (Linux; Android 14; SM-S921N) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    f"{_WINDOWS} Safari/537.36", f"{_WINDOWS} Safari/537.36 Edg/141.0.0.0", f"{_WINDOWS} Whale/3.27 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
)  # fmt: skip
"""Of people: browsers, and apps in which links open."""
ROBOTS = (
    *(agent for one in CRAWLER_USER_AGENTS_DATA for agent in one["instances"][:1]),
    "Proofpoint URL Defense", "Mozilla/5.0 (compatible; Mimecast; +https://www.mimecast.com)", "Mozilla/5.0 (compatible; Barracuda Sentinel; link scan)",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Office Protocol Discovery)", "Sophos Email Time of Click", "kakaotalk-scrap/1.0",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """The hits on one message, and which of them are of people."""

    shape: str
    hits: tuple[tuple[Hit, bool], ...]
    sent: Sent


class Maker:
    """Draws cases."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.shape = ""

    def uuid(self) -> UUID:
        return UUID(int=self.draw.getrandbits(128))

    def case(self, *hits: tuple[Hit, bool]) -> Case:
        """All on one message, which was delivered at the first instant of the day that the times of the hits count from."""
        message = self.uuid()
        start = T0 + timedelta(seconds=self.draw.uniform(0, 30 * DAY))
        moved = tuple((replace(hit, message_id=message, at=start + (hit.at - T0)), human) for hit, human in hits)
        return Case(self.shape, moved, Sent(Channel.EMAIL, (start - timedelta(seconds=self.draw.uniform(2, 600)), start)))

    def machine(self, seconds: float, code: str = "a", **more: object) -> tuple[Hit, bool]:
        return self._hit(seconds, code, more), False

    def person(self, seconds: float, code: str = "a", kind: Kind = "clicked", **more: object) -> tuple[Hit, bool]:
        return self._hit(seconds, code, {"kind": kind, **more}), True

    def _hit(self, seconds: float, code: str, more: dict[str, object]) -> Hit:
        plain = Hit(
            self.uuid(), UUID(int=0), code, "clicked", "GET", self.draw.choice(BROWSERS), False, True, self.client(), T0 + timedelta(seconds=seconds)
        )
        return replace(plain, **more)  # type: ignore[arg-type]

    def client(self) -> str:
        return f"{self.draw.getrandbits(64):016x}"

    def read(self) -> float:
        """Seconds until somebody reads a mail and clicks: minutes to hours, rarely at once, never before it can be read."""
        return 4 + self.draw.lognormvariate(7.5, 2)

    def later(self) -> float:
        """Seconds until a scanner comes that takes its time."""
        return self.draw.uniform(30, 3 * 3600)


# --- machines --------------------------------------------------------------------------------------------------------------------------


def burst(m: Maker) -> Iterator[Case]:
    """All links of a message at once, with a browser's agent and language, from one address or from many."""
    begin, one = m.draw.choice((m.later(), m.draw.uniform(0.2, 30))), m.draw.choice((m.client(), None))
    agent = m.draw.choice(BROWSERS)
    links, within = m.draw.randint(3, 12), m.draw.uniform(0.1, 2.5)
    times = sorted(m.draw.uniform(0, within) for _ in range(links))
    yield m.case(*(m.machine(begin + at, f"link{place}", client=one or m.client(), agent=agent) for place, at in enumerate(times)))


def prefetch(m: Maker) -> Iterator[Case]:
    """A browser or a mail program that fetches ahead, and says so."""
    yield m.case(m.machine(m.read(), ahead=True))


def head(m: Maker) -> Iterator[Case]:
    """A look at the head of a link, and then the link, or nothing more."""
    begin, client, agent = m.later(), m.client(), m.draw.choice(BROWSERS)
    look = m.machine(begin, method="HEAD", client=client, agent=agent)
    follows = m.machine(begin + m.draw.uniform(0.05, 4), client=client, agent=agent)
    yield m.case(look, *([follows] if m.draw.random() < 0.7 else []))


def known_agent(m: Maker) -> Iterator[Case]:
    """A robot that says what it is."""
    yield m.case(m.machine(m.later(), agent=m.draw.choice(ROBOTS), language=m.draw.random() < 0.3))


def on_arrival(m: Maker) -> Iterator[Case]:
    """One link, when the gateway takes the mail in: within a second, seldom some more."""
    yield m.case(m.machine(m.draw.expovariate(1)))


def delayed_plain(m: Maker) -> Iterator[Case]:
    """One link, later, by an HTTP client that calls itself a browser and says nothing more."""
    yield m.case(m.machine(m.later(), language=False))


def delayed_fleet(m: Maker) -> Iterator[Case]:
    """One link each of the mails to many people of a company, later, one after the other, from one appliance that is a whole browser."""
    client, agent = m.client(), m.draw.choice(BROWSERS)
    start = T0 + timedelta(seconds=m.draw.uniform(0, 30 * DAY))
    for _ in range(m.draw.randint(6, 40)):
        start += timedelta(seconds=m.draw.expovariate(4))
        hit, human = m.machine(0, client=client, agent=agent)
        yield Case(m.shape, ((replace(hit, message_id=m.uuid(), at=start), human),), Sent(Channel.EMAIL, (start - timedelta(seconds=m.later()),)))


def delayed_browser(m: Maker) -> Iterator[Case]:
    """One link, later, by a whole browser from an address of its own: nothing in the request tells it from a person."""
    yield m.case(m.machine(m.later()))


# --- people ----------------------------------------------------------------------------------------------------------------------------


def single(m: Maker) -> Iterator[Case]:
    """One click."""
    yield m.case(m.person(m.read()))


def double(m: Maker) -> Iterator[Case]:
    """Two or three clicks on one link, in a second or two."""
    begin, client, agent = m.read(), m.client(), m.draw.choice(BROWSERS)
    times = [begin, begin + m.draw.uniform(0.1, 1), begin + m.draw.uniform(1, 2)][: m.draw.randint(2, 3)]
    yield m.case(*(m.person(at, client=client, agent=agent) for at in times))


def two_links(m: Maker) -> Iterator[Case]:
    """Two links within seconds, with the picture that counts the open before them."""
    begin, client, agent = m.read(), m.client(), m.draw.choice(BROWSERS)
    times = [("pixel", begin - 1, "opened"), ("a", begin, "clicked"), ("b", begin + m.draw.uniform(0.3, 8), "clicked")]
    yield m.case(*(m.person(at, code, kind, client=client, agent=agent) for code, at, kind in times))


def many_links(m: Maker) -> Iterator[Case]:
    """Three to six links, one after the other, as somebody opens them in tabs."""
    at, client, agent = m.read(), m.client(), m.draw.choice(BROWSERS)
    hits = []
    for place in range(m.draw.randint(3, 6)):
        hits.append(m.person(at, f"link{place}", client=client, agent=agent))
        at += 0.5 + m.draw.lognormvariate(0.8, 0.9)
    yield m.case(*hits)


def office(m: Maker) -> Iterator[Case]:
    """Several people behind one address, with the browser that their company gives them, who read the same mail in the same minutes."""
    client, agent = m.client(), m.draw.choice(BROWSERS[-6:])
    start = T0 + timedelta(seconds=m.draw.uniform(0, 30 * DAY))
    for _ in range(m.draw.randint(3, 12)):
        start += timedelta(seconds=m.draw.expovariate(1 / 15))
        hit, human = m.person(0, client=client, agent=agent)
        yield Case(m.shape, ((replace(hit, message_id=m.uuid(), at=start), human),), Sent(Channel.EMAIL, (start - timedelta(seconds=m.read()),)))


def behind_scanner(m: Maker) -> Iterator[Case]:
    """Somebody whose mail a scanner went through before: its hits are machine's, theirs a person's."""
    burst = [m.machine(m.draw.uniform(0.5, 2), f"link{place}") for place in range(4)]
    yield m.case(*burst, m.person(5 + m.read(), "link1"))


MACHINES = {burst: 150, prefetch: 500, head: 350, known_agent: 700, on_arrival: 400, delayed_plain: 400, delayed_fleet: 8, delayed_browser: 60}
PEOPLE = {single: 3000, double: 400, two_links: 400, many_links: 150, office: 120, behind_scanner: 300}
"""How many cases of each shape; a fleet and an office are one for all their mails."""


def corpus(seed: int) -> list[Case]:
    """All shapes, in their numbers."""
    maker = Maker(seed)
    found: list[Case] = []
    for shape, count in (*MACHINES.items(), *PEOPLE.items()):
        maker.shape = shape.__name__
        for _ in range(count):
            found += shape(maker)
    return found


def verdicts(cases: list[Case]) -> Iterator[tuple[str, bool, Verdict]]:
    """What the rules say of each hit: its shape, whether it is a person's, the verdict."""
    clients: dict[str, list[tuple[datetime, UUID]]] = {}
    for hit, _ in (one for case in cases for one in case.hits):
        clients.setdefault(str(hit.client), []).append((hit.at, hit.message_id))
    ordered = {client: sorted(reached) for client, reached in clients.items()}
    for case in cases:
        said = judged([hit for hit, _ in case.hits], case.sent, ordered)
        yield from ((case.shape, human, said[hit.id]) for hit, human in case.hits)


def table(seed: int) -> dict[str, tuple[int, int]]:
    """For each shape the hits, and those that were told right; of `behind_scanner` only the person's."""
    found: dict[str, tuple[int, int]] = {}
    for shape, human, verdict in verdicts(corpus(seed)):
        name = "burst" if shape == "behind_scanner" and not human else shape
        right = verdict.by == "human" if human else verdict.by in ("scanner", "prefetch")
        count, good = found.get(name, (0, 0))
        found[name] = count + 1, good + right
    return found
