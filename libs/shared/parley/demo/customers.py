"""Simulated customers: who they are and what they do, as values that follow from seed, run and place. Pure.

A script says how many messages should come after each step, as the sample flows in `config/flows` give them; a test plays every script through the
router's own decision and holds that. Nobody writes on before the answer is there, so what a customer comes to does not depend on timing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, TypeAlias
from uuid import UUID

from parley import wire

TENANT = "acme"
ACCOUNTS: Mapping[str, str] = {"sms": "acme-sms", "whatsapp": "acme-whatsapp"}
"""The account of each channel over which customers write."""
PAUSE = (0.2, 1.2)
"""Seconds that a customer thinks: people take longer, but nobody wants to watch that."""
ARRIVALS, LONGEST_ARRIVAL = 12.0, 30.0
"""Customers that come in a second, and the seconds within which all have come."""
BROWSER = "Mozilla/5.0 (Linux; Android 15; SM-S931N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"
SCANNER = "Mozilla/5.0 (compatible; Barracuda Sentinel; link scan)"

Language = Literal["ko", "en"]


@dataclass(frozen=True, slots=True)
class Write:
    """Writes a text."""

    text: str
    answers: int = 1
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Tap:
    """Taps a choice, on channels that show some."""

    id: str
    title: str
    answers: int = 1
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Does something in the shop, whose systems tell of it."""

    name: str
    properties: Mapping[str, str | int]
    answers: int = 1
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Follow:
    """Follows the tracked link received last, with this User-Agent."""

    agent: str = BROWSER
    answers: int = 0
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Attended:
    """Waits for a person, who replies and ends the conversation."""

    reply: str
    answers: int = 1
    pause: float = 0.0


Step: TypeAlias = Write | Tap | Event | Follow | Attended


@dataclass(frozen=True, slots=True)
class Customer:
    """One simulated customer. `id` is unique over all runs of a seed; `begins` in seconds after the run's start."""

    id: str
    kind: str
    language: Language
    channel: str
    address: str
    begins: float
    steps: tuple[Step, ...]

    @property
    def account(self) -> str:
        return ACCOUNTS[self.channel]

    @property
    def contact(self) -> UUID:
        """The contact that ingest makes of this address (see `parley.addresses`)."""
        return wire.natural_id("contact", TENANT, "phone", self.address)


def customers(seed: int, run: int, count: int) -> list[Customer]:
    """The customers of a run. Every kind occurs as soon as there are as many customers as kinds; numbers differ from run to run, whatever the seed."""
    order = Random(f"{seed}/{run}")
    kinds = [*KINDS, *order.choices(list(KINDS), [weight for weight, _ in KINDS.values()], k=max(0, count - len(KINDS)))][:count]
    order.shuffle(kinds)
    return [_customer(seed, run, place, kind, count) for place, kind in enumerate(kinds)]


def _customer(seed: int, run: int, place: int, kind: str, count: int) -> Customer:
    draw = Random(f"{seed}/{run}/{place}")
    voice = Voice(draw, draw.choice(("ko", "en")), draw.choice(tuple(ACCOUNTS)), f"{run % 1000:03d}{place:05d}")
    steps = tuple(replace(step, pause=draw.uniform(*PAUSE)) for step in KINDS[kind][1](voice))
    begins = draw.uniform(0, min(LONGEST_ARRIVAL, count / ARRIVALS))
    return Customer(f"{seed}-{run}-{place}", kind, voice.language, voice.channel, _address(voice.language, run, place), begins, steps)


def _address(language: Language, run: int, place: int) -> str:
    """A mobile number, of Korea or of Britain. Multiplying by a number prime to 10^8 scatters them, and no two of (run, place) meet for 1,000 runs."""
    digits = (run * 100_000 + place) * 48_271_003 % 100_000_000
    return f"+8210{digits:08d}" if language == "ko" else f"+4479{digits:08d}"


# --- what customers say ------------------------------------------------------------------------------------------------------------------

WORDS: Mapping[str, Mapping[Language, Sequence[str]]] = {
    "hello": {"ko": ("안녕하세요", "안녕", "안녕하세요!"), "en": ("Hi", "Hello", "hey!")},
    "faq": {"ko": ("문의", "질문"), "en": ("FAQ", "questions")},
    "order": {"ko": ("주문 조회", "배송조회"), "en": ("Where is my order?", "track order")},
    "agent": {"ko": ("상담원", "상담원 연결"), "en": ("agent", "Talk to a person")},
    "stop": {"ko": ("수신거부", "수신 거부"), "en": ("STOP", "Unsubscribe", "stop.")},
    "start": {"ko": ("수신동의",), "en": ("START",)},
    "help": {"ko": ("도움말",), "en": ("HELP",)},
    "nonsense": {
        "ko": ("ㅋㅋㅋㅋ 고구마", "보라색 목요일이야", "뿅뿅 휘리릭 쫑"),
        "en": ("purple thursday", "blorp fizz wibble", "zzt grumbl wek"),
    },
    "reply": {
        "ko": ("안녕하세요, 상담원 지민입니다. 확인해 드렸어요.", "기다려 주셔서 감사합니다. 처리되었습니다."),
        "en": ("Hello, this is Mina. I have looked into it for you.", "Thank you for waiting, that is settled now."),
    },
}
CHOICES: Mapping[str, tuple[str, int, Mapping[Language, str]]] = {
    "news, please": ("yes", 1, {"ko": "네 좋아요", "en": "Yes, please"}),
    "no news": ("no", 2, {"ko": "괜찮아요", "en": "No, thanks"}),
    "faq": ("faq", 2, {"ko": "자주 묻는 질문", "en": "FAQ"}),
    "delivery": ("delivery", 1, {"ko": "배송", "en": "Delivery"}),
    "returns": ("returns", 2, {"ko": "반품", "en": "Returns"}),
    "hours": ("hours", 3, {"ko": "영업시간", "en": "Opening hours"}),
    "yes": ("yes", 1, {"ko": "네", "en": "Yes"}),
    "no more": ("no", 2, {"ko": "아니요", "en": "No"}),
}
"""The choices that the flows offer: id, place and title."""


@dataclass(frozen=True)
class Voice:
    """How one customer does things: language, channel, and a number of their own for orders and carts."""

    draw: Random
    language: Language
    channel: str
    number: str

    def write(self, word: str, answers: int = 1) -> Step:
        return Write(self.draw.choice(WORDS[word][self.language]), answers)

    def choose(self, choice: str, answers: int = 1) -> Step:
        """A tap where the channel has buttons; by SMS the choice's number or its words."""
        name, place, titles = CHOICES[choice]
        if self.channel == "whatsapp":
            return Tap(name, titles[self.language], answers)
        return Write(self.draw.choice((str(place), titles[self.language])), answers)

    def attended(self) -> Step:
        return Attended(self.draw.choice(WORDS["reply"][self.language]))

    def known(self) -> Step:
        """The shop tells the customer's name and language: events come before any word of theirs."""
        return Event("customer.updated", {"name": "지우" if self.language == "ko" else "Alex", "language": self.language}, 0)

    @property
    def order(self) -> str:
        return f"A{self.number}"

    def placed(self, answers: int = 1) -> Step:
        return Event("order.placed", {"order_id": self.order, "value": self.draw.randrange(8, 90) * 1000, "currency": "KRW"}, answers)

    def shipped(self, answers: int = 1) -> Step:
        return Event("order.shipped", {"order_id": self.order, "tracking_url": f"https://track.example/{self.order}"}, answers)

    def cart(self, answers: int) -> Step:
        return Event("cart.abandoned", {"cart_id": f"c{self.number}-{self.draw.randrange(1000)}"}, answers)

    def asks_for(self, number: str) -> list[Step]:
        """Asks after an order by its number."""
        said = f"{number}이요" if self.language == "ko" else f"It is {number}"
        return [self.write("order"), Write(said)]

    def agrees(self) -> list[Step]:
        return [self.write("hello"), self.choose("news, please", 2)]

    def declines(self) -> list[Step]:
        return [self.write("hello"), self.choose("no news")]


# --- kinds -------------------------------------------------------------------------------------------------------------------------------


def _visitor(voice: Voice) -> list[Step]:
    """Says hello, perhaps answers, and falls silent."""
    return voice.draw.choice(([voice.write("hello")], voice.agrees(), voice.declines()))


def _asker(voice: Voice) -> list[Step]:
    """Has a question that comes every day, or two."""
    topics = voice.draw.sample(("delivery", "returns", "hours"), 2)
    opening = voice.draw.choice(([voice.write("faq")], [*voice.declines(), voice.choose("faq")]))
    return [*opening, voice.choose(topics[0], 2), voice.choose("yes"), voice.choose(topics[1], 2), voice.choose("no more")]


def _tracker(voice: Voice) -> list[Step]:
    """Has ordered, and asks where it is, before it left and after."""
    return [voice.known(), voice.placed(), *voice.asks_for(voice.order), voice.shipped(), *voice.asks_for(voice.order)]


def _stranger(voice: Voice) -> list[Step]:
    """Asks for an order that nobody knows, and then for a person."""
    return [*voice.asks_for(f"Z{voice.number}"), voice.choose("yes"), voice.attended(), voice.write("hello")]


def _shopper(voice: Voice) -> list[Step]:
    """Agreed to news, follows the link of the reminder, and orders."""
    return [*voice.agrees(), voice.cart(1), Follow(), voice.placed(), voice.shipped()]


def _looker(voice: Voice) -> list[Step]:
    """Agreed to news; a scanner follows the link before the customer does, who then does nothing."""
    ways: tuple[list[Step], ...] = ([], [Follow(SCANNER)], [Follow(SCANNER), Follow()], [Follow(), Follow()])
    return [*voice.agrees(), voice.cart(1), *voice.draw.choice(ways)]


def _reserved(voice: Voice) -> list[Step]:
    """Never agreed to news: a cart left behind brings nothing."""
    return [voice.cart(0), *voice.draw.choice(([], [*voice.declines(), voice.cart(0)]))]


def _caller(voice: Voice) -> list[Step]:
    """Wants a person, and gets one; some wait until the end."""
    return [voice.write("agent"), *voice.draw.choice(([voice.attended()], [voice.attended(), voice.write("hello")], []))]


def _mumbler(voice: Voice) -> list[Step]:
    """Writes what nobody understands until a person takes over."""
    return [*(voice.write("nonsense") for _ in range(5)), voice.attended()]


def _lost(voice: Voice) -> list[Step]:
    """Is through with a flow, and is not understood afterwards."""
    return [voice.known(), voice.placed(), *voice.asks_for(voice.order), voice.write("nonsense"), voice.write("nonsense"), voice.attended()]


def _leaver(voice: Voice) -> list[Step]:
    """Leaves, and hears no more; some in the very moment in which a reminder is on its way."""
    opening = voice.draw.choice(([], [voice.write("hello")], [*voice.agrees(), voice.cart(0)], [*voice.agrees(), voice.cart(1)]))
    return [*opening, voice.write("stop"), voice.write("nonsense", 0), voice.cart(0)]


def _returner(voice: Voice) -> list[Step]:
    """Leaves, and comes back."""
    return [*voice.agrees(), voice.write("stop"), voice.write("hello", 0), voice.write("start"), voice.write("hello"), voice.cart(1), Follow()]


def _given_up(voice: Voice) -> list[Step]:
    """Leaves while waiting for a person."""
    return [voice.write("agent"), voice.write("stop")]


def _helped(voice: Voice) -> list[Step]:
    """Asks who this is."""
    return [voice.write("help"), *voice.agrees()]


KINDS: Mapping[str, tuple[int, Callable[[Voice], list[Step]]]] = {
    "visitor": (14, _visitor),
    "asker": (14, _asker),
    "tracker": (14, _tracker),
    "stranger": (6, _stranger),
    "shopper": (16, _shopper),
    "looker": (8, _looker),
    "reserved": (5, _reserved),
    "caller": (6, _caller),
    "mumbler": (4, _mumbler),
    "lost": (3, _lost),
    "leaver": (6, _leaver),
    "returner": (4, _returner),
    "given_up": (2, _given_up),
    "helped": (2, _helped),
}
"""Kinds of customers, by name: their share, and the script."""
