"""What messages mean, for the router: the intents of `faq/` by tenant, learnt beside the running service, and asked for outside of any step.

A file that changes is learnt within seconds; a broken one is said in the log and left out. Where sentences cannot be encoded at all, no message waits for a
meaning: keywords, choices and people stay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import structlog

from parley.service import Context
from parley.settings import Settings
from parley_router.asking import Answer
from parley_router.caller import Call
from parley_router.catalogue import REGIONS, Meaning
from parley_router.language import spoken
from parley_router.pausing import pause
from parley_router.publishing import fingerprint
from parley_router.understand import asking, intents, shipped
from parley_router.understand.answering import Answered, Ground
from parley_router.understand.asking import Endpoint
from parley_router.understand.encoder import Encoder
from parley_router.understand.endpoint import Remote
from parley_router.understand.intents import Intent
from parley_router.understand.reading import Reading
from parley_router.understand.service import Reader
from parley_router.understand.understanding import Asked, Understanding

EVERY = 3.0
"""Seconds between two looks at the files."""

log = structlog.get_logger()


@dataclass
class Meanings:
    """The worker. `meanings` is what flows and decisions know of; `changed` is called when it is other than before."""

    context: Context
    changed: Callable[[], None] = lambda: None
    meanings: Mapping[str, Mapping[str, Meaning]] = field(default_factory=dict)
    names: Mapping[str, frozenset[str]] | None = None
    """The intents by tenant, as the files have them; None where nobody wrote any, so that flows may name what they like."""
    _known: Sequence[Intent] = ()
    _readers: dict[str, Reader] = field(default_factory=dict)
    _learnt: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: str = ""

    def look(self) -> bool:
        """Reads the files where they changed; whether they did. A first look, before the service runs, lets flows know what may be meant."""
        settings = self.context.settings
        seen = fingerprint(settings.config / "faq")
        if seen == self._seen or settings.understanding == "off":
            return False
        self._seen = seen
        found, wrong = intents.read(settings.config, {name: one.languages for name, one in self.context.config.tenants.items()})
        for complaint in wrong:
            log.error("an intent is left out", reason=complaint)
        self._known = [one.intent for one in found]
        self.meanings = meanings(self._known)
        self.names = {name: frozenset(self.meanings.get(name, ())) for name in self.context.config.tenants} if self._known else None
        self._learnt.clear()
        return True

    async def run(self, stopping: asyncio.Event) -> None:
        """Learns, and learns anew when the files change, until the stop."""
        try:
            while not stopping.is_set():
                if not self._learnt.is_set():
                    await self._learn()
                    self.changed()
                await pause(EVERY, stopping)
                await asyncio.to_thread(self.look)
        finally:
            await asyncio.gather(*(one.close() for one in self._readers.values()))

    async def _learn(self) -> None:
        began = time.perf_counter()
        try:
            found = await asyncio.to_thread(learnt, self.context.settings, self._known, self.context.config.tenants)
        except Exception as error:  # the weights, the endpoint: without them nothing is read, and nobody waits for it
            log.error("no message is read for its meaning: sentences cannot be encoded", cause=f"{type(error).__name__}: {error}")
            found, self.meanings = {}, {}
        old, self._readers = self._readers, {name: Reader(one) for name, one in found.items()}
        self._learnt.set()
        await asyncio.gather(*(one.close() for one in old.values()))
        if found:
            log.info("meanings are learnt", intents=len(self._known), seconds=round(time.perf_counter() - began, 1))

    async def read(self, call: Call) -> Answer:
        """What a message means; waits while it is being learnt."""
        reading = await self._reading(call)
        return Answer(status=200, body=reading.model_dump(mode="json")) if reading is not None else Answer(error="nothing is learnt for this tenant")

    async def _reading(self, call: Call) -> Reading | None:
        await self._learnt.wait()
        if (reader := self._readers.get(call.tenant)) is None:
            return None
        tenant = self.context.config.tenants[call.tenant]
        today, region = call.taken_at.astimezone(tenant.timezone).date(), REGIONS.get(tenant.languages[0], "US")
        return await reader.read(Asked(call.wanted.text, today, call.wanted.language, region))

    async def answer(self, call: Call) -> Answer:
        """What a language model says from the FAQ alone, if it may be said; 404 when not."""
        settings = self.context.settings
        if not settings.model_url:
            return Answer(error="PARLEY_MODEL_URL is not set")
        language = call.wanted.language or self.context.config.tenants[call.tenant].languages[0]
        endpoint = Endpoint(url=settings.model_url, model=settings.model, key=settings.model_key if settings.model_key.get_secret_value() else None)
        async with aiohttp.ClientSession() as session:
            found = await asking.ask(session, endpoint, call.wanted.text, await self._grounds(call, language), language)
        if isinstance(found, Answered):
            return Answer(status=200, body={"text": found.answer, "quote": found.quote, "source": found.source})
        log.info("the model's answer is not said", reason=found.why, contact_id=str(call.contact))
        return Answer(status=404)

    async def _grounds(self, call: Call, language: str) -> list[Ground]:
        """The answers of the FAQ, those nearest to the question first."""
        reading = await self._reading(call)
        near = [one.intent for one in reading.candidates] if reading is not None else []
        known = [one for one in self._known if one.tenant == call.tenant and one.answer]
        known.sort(key=lambda one: near.index(one.intent) if one.intent in near else len(near))
        return [Ground(source=one.intent, text=spoken(one.answer, language, (language,))) for one in known if one.answer]


def meanings(known: Sequence[Intent]) -> dict[str, dict[str, Meaning]]:
    """What each intent leads to, by tenant."""
    found: dict[str, dict[str, Meaning]] = {}
    for one in known:
        found.setdefault(one.tenant, {})[one.intent] = Meaning(one.title, one.answer)
    return found


def learnt(settings: Settings, known: Sequence[Intent], tenants: Mapping[str, object]) -> dict[str, Understanding]:
    """An understanding for each tenant that has intents. Takes seconds; raises what the encoder raises."""
    if not known:
        return {}
    encoder, arrays = _encoder(settings)
    of = {name: [one for one in known if one.tenant == name] for name in tenants}
    return {name: Understanding.load({one.intent: one.examples for one in some}, encoder, arrays) for name, some in of.items() if some}


def _encoder(settings: Settings) -> tuple[Encoder, shipped.Arrays | None]:
    if settings.embeddings_url:
        key = settings.embeddings_key if settings.embeddings_key.get_secret_value() else None
        return Remote(Endpoint(url=settings.embeddings_url, model=settings.embeddings_model, key=key)), None
    kind = shipped.best()
    return shipped.encoder(kind), shipped.adapter(kind)
