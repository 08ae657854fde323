"""Plays customers: writes through the twin, does things in the shop, follows links, and gives people their part. A step is done when its answers are there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import aiohttp

from parley import wire
from parley.demo.customers import TENANT, Attended, Customer, Event, Follow, Tap, Write

PATIENCE = 30.0
"""Seconds that a customer waits for an answer, and the shop's systems and people for Parley, before they go on."""
POLL = 10.0
"""Seconds of one long poll at the twin's inbox."""
AGAIN = 0.2
"""Seconds between two tries."""
LOOK = 0.5
"""Seconds between two looks at what has come and what never will."""
PEOPLE = 12
"""People of the shop who talk with customers at the same time."""
LINK = re.compile(r"https?://\S+?/l/[0-9A-Za-z]+")

Answer: TypeAlias = "tuple[int, Any]"
"""Status and JSON of an answer."""


class InVain(Exception):
    """Something did not come in time: the sentence says what."""


class Inside(Protocol):
    """Somebody inside Parley, for runs in which things break: then a customer waits for just what must come, and for nothing that cannot."""

    async def taken(self, event: UUID) -> bool:
        """Whether ingest knows this event by its natural id."""
        ...

    async def given_up(self, contact: UUID) -> set[str]:
        """The contact's messages that sender makes no more calls for, though it does not know that they arrived."""
        ...


@dataclass(frozen=True)
class Places:
    """Where the parts listen, and the keys of the shop's systems and people."""

    twin: str
    ingest: str
    router: str
    shop: str
    staff: str


@dataclass
class Actor:
    """Plays any number of customers at once. `troubles` grows by a sentence for each thing that did not come within `patience` seconds.

    With somebody `inside`, nobody goes on before ingest knows what they did: webhooks and events come in by different ways, and a kill between
    them would let the later one overtake.
    """

    places: Places
    session: aiohttp.ClientSession
    patience: float = PATIENCE
    inside: Inside | None = None
    troubles: list[str] = field(default_factory=list)
    done: int = 0
    _people: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PEOPLE))

    async def play_all(self, customers: Sequence[Customer]) -> None:
        """All of them, each from their own beginning on."""
        async with asyncio.TaskGroup() as group:
            for one in customers:
                group.create_task(self.play(one))

    async def play(self, customer: Customer) -> None:
        """One customer's script, step by step."""
        await asyncio.sleep(customer.begins)
        heard = 0
        for place, step in enumerate(customer.steps):
            await asyncio.sleep(step.pause)
            try:
                await self._do(customer, place, step)
                heard = await self._hear(customer, heard, step.answers)
            except InVain as error:
                self.troubles.append(f"customer {customer.id} ({customer.kind}), step {place + 1}: {error}")
                heard = await self._known(customer)
        self.done += 1

    async def _do(self, customer: Customer, place: int, step: Write | Tap | Event | Follow | Attended) -> None:
        match step:
            case Write():
                await self._say(customer, place, {"text": step.text})
            case Tap():
                await self._say(customer, place, {"choice": {"id": step.id, "title": step.title}})
            case Event():
                await self._happens(customer, place, step)
            case Follow():
                await self._follow(customer, step)
            case Attended():
                await self._attend(customer, step)

    # --- the customer ---------------------------------------------------------------------------------------------------------------

    async def _say(self, customer: Customer, place: int, what: Mapping[str, Any]) -> None:
        """The message's id follows from who says it where in the script: another run of the same seed says the same message."""
        body = {"account": customer.account, "from": customer.address, "id": f"{customer.id}-{place}", **what}
        say = f"{self.places.twin}/control/say"
        _, said = await self._until("the twin does not take the message", lambda: self._send("POST", say, body), _is(200))
        await self._arrived(wire.natural_id("message", customer.account, said["provider_id"]))

    async def _hear(self, customer: Customer, heard: int, answers: int) -> int:
        """How many messages there are, once there are `answers` more than were heard."""
        wanted, end = heard + answers, asyncio.get_running_loop().time() + self.patience
        while heard < wanted:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise InVain(f"{wanted - heard} of {answers} answers did not come within {self.patience:.0f} s")
            if self.inside is None:
                heard += len(await self._inbox(customer, heard, min(POLL, left)))
            elif (known := await self._known(customer)) > heard:
                heard = known
            else:
                await asyncio.sleep(LOOK)
        return heard

    async def _known(self, customer: Customer) -> int:
        """How many messages have come, and how many never will."""
        gone = await self.inside.given_up(customer.contact) if self.inside is not None else set()
        received = await self._inbox(customer, 0, 0)
        return len(received) + len(gone - {one["reference"] for one in received})

    async def _inbox(self, customer: Customer, after: int, wait: float) -> list[dict[str, Any]]:
        query = {"address": customer.address, "after": str(after), "wait": str(wait)}
        async with self.session.get(f"{self.places.twin}/control/inbox", params=query) as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"]
            return found

    async def _follow(self, customer: Customer, step: Follow) -> None:
        """The link in the newest message that has one. It leads somewhere, or that is a trouble: what a customer has been sent must work."""
        received = await self._inbox(customer, 0, 0)
        link = next((found[0] for one in reversed(received) if (found := LINK.search(one["text"] or ""))), None)
        if link is None:
            raise InVain("there is no link to follow in what was received")
        await self._until(
            "the link leads nowhere",
            lambda: self._send("GET", link, None, {"User-Agent": step.agent, "Accept-Language": customer.language}),
            _is(302),
        )

    # --- the shop's systems and people ----------------------------------------------------------------------------------------------

    async def _happens(self, customer: Customer, place: int, step: Event) -> None:
        data = {
            "customer": {"addresses": {customer.channel: customer.address}}, "name": step.name, "properties": dict(step.properties),
            "occurred_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        event = {"specversion": "1.0", "id": f"{customer.id}-{place}", "source": "shop", "type": "parley.customer.event", "data": data}
        headers = {"Authorization": f"Bearer {self.places.shop}", "Content-Type": "application/cloudevents+json"}
        await self._until("ingest does not take the event", lambda: self._send("POST", f"{self.places.ingest}/events", event, headers), _is(202))
        await self._arrived(wire.natural_id("event", TENANT, "shop", str(event["id"])))

    async def _arrived(self, event: UUID) -> None:
        """With somebody inside: until ingest knows it."""
        end = asyncio.get_running_loop().time() + self.patience
        while self.inside is not None and not await self.inside.taken(event):
            if asyncio.get_running_loop().time() > end:
                raise InVain(f"ingest does not know event {event} within {self.patience:.0f} s")
            await asyncio.sleep(AGAIN)

    async def _attend(self, customer: Customer, step: Attended) -> None:
        """A person sees that somebody waits, replies, and ends the conversation; done when the bot may speak again."""
        async with self._people:
            _, waiting = await self._until("nobody sees that they wait", lambda: self._contact(customer.contact), _stands("waiting"))
            conversation = waiting["state"]["conversation"]["id"]
            await self._act(conversation, "reply", {"agent": "mina", "text": step.reply})
            await asyncio.sleep(step.pause)
            await self._act(conversation, "resolve", {"agent": "mina"})
            await self._until("the conversation does not end", lambda: self._contact(customer.contact), _stands("none", "bot"))

    async def _contact(self, contact: UUID) -> Answer:
        return await self._send("GET", f"{self.places.router}/v1/contacts/{contact}", None, {"Authorization": f"Bearer {self.places.staff}"})

    async def _act(self, conversation: str, action: str, body: Mapping[str, str]) -> None:
        """Until it is accepted, as the same action; 404 where it has taken effect already and the answer was lost."""
        headers = {"Authorization": f"Bearer {self.places.staff}", "Idempotency-Key": f"{conversation}-{action}"}
        url = f"{self.places.router}/v1/conversations/{conversation}/{action}"
        await self._until(f"the router does not take the {action}", lambda: self._send("POST", url, body, headers), _is(202, 404))

    # --- asking until it works ------------------------------------------------------------------------------------------------------

    async def _send(self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None) -> Answer:
        async with self.session.request(method, url, json=body, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.json(content_type=None) if "json" in answer.content_type else None

    async def _until(self, fault: str, ask: Callable[[], Awaitable[Answer]], right: Callable[[Answer], bool]) -> Answer:
        """Asks until the answer is right: a service may be away for a while. Raises `InVain` with the last answer when patience ends."""
        end, last = asyncio.get_running_loop().time() + self.patience, "no answer"
        while asyncio.get_running_loop().time() < end:
            try:
                answer = await ask()
                if right(answer):
                    return answer
                last = f"HTTP {answer[0]}"
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                last = type(error).__name__
            await asyncio.sleep(AGAIN)
        raise InVain(f"{fault} within {self.patience:.0f} s ({last})")


def _is(*statuses: int) -> Callable[[Answer], bool]:
    return lambda answer: answer[0] in statuses


def _stands(*statuses: str) -> Callable[[Answer], bool]:
    return lambda answer: answer[0] == 200 and answer[1]["status"] in statuses
