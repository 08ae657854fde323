"""The bus: topics, one producer that is made anew when it wedges, and batch subscriptions. Only this module and `stream` speak to Kafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from aiokafka import AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError, MessageSizeTooLargeError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER

from parley import connecting, refusals
from parley.contracts import COMPACTED, TOPICS, Record
from parley.placing import partition
from parley.settings import Settings

PUBLISH_TIMEOUT = 30.0
"""Seconds until a publish is given up and its producer with it."""
START_WITHIN = 6.0
"""Seconds that the start of a producer may take, all in all; then it is given up, and the next publish tries anew. A start that hangs holds up all who publish,
for so long also after Kafka is back: what waits in ingest's spool comes onto the bus that late. More than 5 s: a resolver whose question was lost needs them."""
STOP_WITHIN = 5.0
"""Seconds that a producer which was given up has to hand over what others gave to it."""
TOGETHER = 16
"""Records of one publish from which on they go in batches of our own."""
POLL_MS = 10
"""FastStream sleeps this long again after an empty poll: it is the latency of a quiet topic."""
MAX_POLL_MS = 600_000
RECORD_BYTES = 8_388_608
"""Bytes of a record at most: a webhook's body of several megabytes, in base64. Kafka's own limit of 1 MiB would refuse it for ever."""
MADE_AT_ONCE = 1
"""Topics of a request that makes them. A broker leads a topic a moment after it has said that it is made: where all are made at once, who reads the first
of them early is told to come again."""
WAIT_MS = 500
"""A fetch waits this long for a record. What else is asked of the same broker meanwhile, such as the ends of the log by who asks whether a service is ready,
is answered after it."""
HEARTBEAT_MS = 2_000
"""So long after another member came or went its group hears of it."""
REBALANCE_MS = 60_000
"""Above the longest drain, else a member that finishes its step is thrown out of the group."""

Sent: TypeAlias = "asyncio.Future[object]"
"""Done once what was handed over is on the bus."""


class BusUnavailable(Exception):
    """Kafka did not acknowledge in time. What was published may or may not be on the bus: publish it again."""


class TooLarge(BusUnavailable):
    """A record is larger than the bus takes. Another try will not help."""


class TopicsRefused(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """Topics are missing, and Kafka does not make them. The words say which, why, and what to do."""

    def __str__(self) -> str:
        return str(self.args[0])


class Bus:
    """Kafka as Parley uses it. Every publish is acknowledged by all replicas, keyed, and in order within a key."""

    def __init__(self, settings: Settings, *, client: str) -> None:
        self._settings = settings
        self.prefix = settings.prefix
        self._client = client
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._handing = asyncio.Lock()
        """One hands over to a producer after the other: a batch of our own may have to wait for the one before it, and nobody goes past it meanwhile.
        A new producer has a new lock: who hangs with the old one holds up nobody."""
        self._retired: set[asyncio.Task[None]] = set()
        self.broker = KafkaBroker(
            settings.kafka.split(","),
            client_id=client,
            consumer_only=True,
            graceful_timeout=settings.drain,
            logger=None,
            security=connecting.security(settings),
        )

    async def publish(self, records: Sequence[Record], timeout: float = PUBLISH_TIMEOUT) -> None:
        """Returns when every record is on the bus. Raises `BusUnavailable` when that is not known within `timeout` seconds."""
        if not records:
            return
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(timeout):
                producer = await self._current()
                async with self._handing:
                    sent = await (self._together(producer, records) if len(records) >= TOGETHER else self._singly(producer, records))
                await asyncio.gather(*sent)
        except MessageSizeTooLargeError as error:
            raise TooLarge(str(error)) from error
        except TimeoutError as error:
            self._retire(producer)
            raise BusUnavailable(self._away(f"has not acknowledged within {timeout:g} s")) from error
        except (KafkaError, OSError) as error:
            self._retire(producer)
            raise BusUnavailable(str(error) if isinstance(error, KafkaError) else repr(error)) from error

    async def _singly(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Sent]:
        """One by one: aiokafka gathers what many callers send at the same time."""
        return [await producer.send(self.prefix + topic, value, key=key, headers=headers) for topic, key, headers, value in records]

    async def _together(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Sent]:
        """In batches of our own, a partition each: a future for every record costs more than the record."""
        lines: dict[tuple[str, int], list[Record]] = {}
        counts = {topic: len(await producer.partitions_for(self.prefix + topic)) for topic in {record[0] for record in records}}
        for record in records:
            lines.setdefault((record[0], partition(record[1], counts[record[0]])), []).append(record)
        sent: list[Sent] = []
        for (topic, number), some in lines.items():
            sent += await _line(producer, self.prefix + topic, number, some)
        return sent

    async def ensure_topics(self) -> None:
        """Makes the topics of the contract that are missing. Existing ones stay as they are.

        Raises KafkaError or OSError: `TopicsRefused` where Kafka answers, and some are not there afterwards.
        """
        admin = AIOKafkaAdminClient(client_id=self._client, **connecting.options(self._settings))
        await self._begin(admin)
        try:
            await self._make(admin, {self.prefix + name: self._topic(name) for name in TOPICS})
        finally:
            await admin.close()

    async def _make(self, admin: AIOKafkaAdminClient, wanted: dict[str, NewTopic]) -> None:
        # Which are missing is asked by a request that makes nothing: a list of topics would be of all that the cluster has.
        answers = (await admin.create_topics([*wanted.values()], validate_only=True)).topic_errors
        faults, missing = refusals.faults(answers), [wanted[name] for name, code, *_ in answers if code == 0]
        for place in range(0, len(missing), MADE_AT_ONCE):
            faults |= refusals.faults((await admin.create_topics(missing[place : place + MADE_AT_ONCE])).topic_errors)
        if faults:  # who may not make topics is told so of those that are there, too
            there = set(await admin.list_topics())
            faults = {name: fault for name, fault in faults.items() if name not in there}
        if faults:
            raise TopicsRefused(refusals.words(faults))

    def _topic(self, name: str) -> NewTopic:
        options = {"cleanup.policy": "compact" if name in COMPACTED else "delete", "max.message.bytes": str(RECORD_BYTES)}
        return NewTopic(self.prefix + name, self._settings.partitions, self._settings.replication, topic_configs=options)

    def subscribe(
        self, group: str, topics: Sequence[str], handler: Callable[[Sequence[ConsumerRecord]], Awaitable[None]], listener: ConsumerRebalanceListener
    ) -> Any:
        """A batch subscription whose offsets only the handler moves. Gives FastStream's subscriber; it consumes once the broker is started."""
        settings = self._settings
        subscriber = self.broker.subscriber(
            *(self.prefix + topic for topic in topics),
            group_id=self.prefix + group,
            batch=True,
            max_records=settings.batch,
            batch_timeout_ms=POLL_MS,
            ack_policy=AckPolicy.MANUAL,
            listener=listener,
            auto_offset_reset="earliest",
            max_poll_interval_ms=MAX_POLL_MS,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=HEARTBEAT_MS,
            fetch_max_wait_ms=WAIT_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            # The same member gets the same partition numbers of all its topics: one contact, one worker.
            partition_assignment_strategy=[RangePartitionAssignor],
            parser=_untouched,
            decoder=_value,
            no_reply=True,
        )

        async def take(message: KafkaMessage) -> None:
            await handler(message.raw_message)

        subscriber(take)
        return subscriber

    async def stop(self) -> None:
        await self.broker.stop()
        self._retire(self._producer)
        await asyncio.gather(*self._retired, return_exceptions=True)

    async def _current(self) -> AIOKafkaProducer:
        """The producer, started; a new one after trouble (aiokafka's idempotent producer can wedge for good when its broker goes away)."""
        async with self._starting:  # also where there is one: nobody goes past those who waited for it
            if self._producer is None:
                self._producer, self._handing = await self._started(), asyncio.Lock()
            return self._producer

    async def _started(self) -> AIOKafkaProducer:
        """A new producer, started. One that does not start in time is let go of, with all that hangs on it."""
        producer = AIOKafkaProducer(
            client_id=self._client, acks="all", enable_idempotence=True, max_batch_size=131_072, max_request_size=RECORD_BYTES, linger_ms=0,
            request_timeout_ms=20_000, retry_backoff_ms=50, **connecting.options(self._settings),
        )  # fmt: skip
        try:
            await self._begin(producer)
        except BaseException:
            self._retire(producer)
            raise
        return producer

    async def _begin(self, client: AIOKafkaProducer | AIOKafkaAdminClient) -> None:
        """Starts a client of Kafka in time, or raises KafkaError that says what is wrong."""
        try:
            async with asyncio.timeout(START_WITHIN):
                await client.start()
        except (KafkaConnectionError, OSError) as error:
            why = f"no answer within {START_WITHIN:g} s" if isinstance(error, TimeoutError) else error
            raise KafkaConnectionError(self._away(f"lets nobody in ({why})")) from error

    def _away(self, what: str) -> str:
        return (
            f"Kafka at {self._settings.kafka} {what}: see whether its brokers run and can be reached from here, and whether PARLEY_KAFKA names them"
        )

    def _retire(self, producer: AIOKafkaProducer | None) -> None:
        """Stops a producer in the background: it may still wait for a broker that is gone, and nobody shall wait for it."""
        if producer is None:
            return
        if producer is self._producer:
            self._producer = None
        task = asyncio.create_task(_stop(producer))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


async def _line(producer: AIOKafkaProducer, topic: str, number: int, records: Sequence[Record]) -> list[Sent]:
    """Hands over the records of one partition, in order, in as few batches as hold them; gives what is done once they are on the bus."""
    batch, sent = producer.create_batch(), []
    for _, key, headers, value in records:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:  # full
            sent.append(await producer.send_batch(batch, topic, partition=number))
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    sent.append(await producer.send_batch(batch, topic, partition=number))
    return sent


async def _stop(producer: AIOKafkaProducer) -> None:
    """Lets go of a producer. What it still has it hands over in `STOP_WITHIN` seconds, or never."""
    with contextlib.suppress(Exception):
        try:
            await asyncio.wait_for(producer.stop(), STOP_WITHIN)
        except TimeoutError:
            await asyncio.wait_for(_give_up(producer), 1)


async def _give_up(producer: AIOKafkaProducer) -> None:
    """Ends a producer whose own end was too slow: by itself it would try for ever, and keep its tasks. Who waits for what it has hears of it."""
    held = producer._message_accumulator
    unsent = [batch.wait_drain() for line in held._batches.values() for batch in line]  # asked, lest asyncio complains that nobody does
    held.fail_all(KafkaConnectionError("the producer was given up"))
    await asyncio.gather(producer._sender.close(), producer.client.close(), *unsent, return_exceptions=True)


async def _untouched(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """The batch as it came: FastStream's own parser decodes every record's headers and body once more than the step needs."""
    return KafkaMessage(raw_message=records, body=b"", headers={}, consumer=FAKE_CONSUMER)


async def _value(_: KafkaMessage) -> None:
    return None
