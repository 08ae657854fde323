"""Every metric of Parley, in one catalogue: name, meaning, labels. Observed once a batch, never once a message on a hot path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BATCH = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


@dataclass(frozen=True)
class Metrics:
    """The metrics of one process, in a registry of its own (so that tests and several services can stand side by side)."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    consumed: Counter = field(init=False)
    produced: Counter = field(init=False)
    failed: Counter = field(init=False)
    dead: Counter = field(init=False)
    repeats: Counter = field(init=False)
    late: Counter = field(init=False)
    gaps: Counter = field(init=False)
    batch_seconds: Histogram = field(init=False)
    lag_seconds: Gauge = field(init=False)
    lag_records: Gauge = field(init=False)
    idle_seconds: Gauge = field(init=False)
    stage_stopped: Gauge = field(init=False)
    ready: Gauge = field(init=False)
    requests: Counter = field(init=False)
    limited: Counter = field(init=False)
    spool_bytes: Gauge = field(init=False)
    spool_limit_bytes: Gauge = field(init=False)
    spool_records: Gauge = field(init=False)
    spool_age_seconds: Gauge = field(init=False)
    spool_set_aside: Gauge = field(init=False)
    queue_depth: Gauge = field(init=False)
    queue_age_seconds: Gauge = field(init=False)
    lane_paused: Gauge = field(init=False)
    lane_circuit_open: Gauge = field(init=False)
    unknown: Gauge = field(init=False)
    unknown_age_seconds: Gauge = field(init=False)
    outbox_entries: Gauge = field(init=False)
    outbox_age_seconds: Gauge = field(init=False)
    attempts: Counter = field(init=False)
    withheld: Counter = field(init=False)
    throttle_seconds: Counter = field(init=False)
    smpp_bound: Gauge = field(init=False)
    end_to_end_seconds: Histogram = field(init=False)
    campaign_rate: Gauge = field(init=False)
    scores: Counter = field(init=False)
    timers: Counter = field(init=False)
    timer_lateness_seconds: Histogram = field(init=False)
    calls: Counter = field(init=False)
    call_seconds: Histogram = field(init=False)
    flows_refused: Gauge = field(init=False)
    webhooks: Gauge = field(init=False)
    webhook_posts: Counter = field(init=False)
    webhook_seconds: Histogram = field(init=False)
    webhook_late_seconds: Gauge = field(init=False)

    def __post_init__(self) -> None:
        def counter(name: str, meaning: str, labels: Sequence[str]) -> Counter:
            return Counter(f"parley_{name}", meaning, labels, registry=self.registry)

        def gauge(name: str, meaning: str, labels: Sequence[str]) -> Gauge:
            return Gauge(f"parley_{name}", meaning, labels, registry=self.registry)

        def histogram(name: str, meaning: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
            return Histogram(f"parley_{name}", meaning, labels, registry=self.registry, buckets=buckets)

        catalogue = {
            "consumed": counter("consumed", "Events taken from the bus", ("stage", "topic")),
            "produced": counter("produced", "Events put on the bus", ("stage", "topic")),
            "failed": counter("failed", "Steps that failed and are tried again", ("stage", "cause")),
            "dead": counter("dead", "Events that could not be processed and went to parley.dead", ("stage", "topic")),
            "repeats": counter("repeats", "Events dropped because their effect was there already", ("stage",)),
            "late": counter("late", "Events of a time, a message or a conversation whose facts are rolled up by now: they were dropped", ("stage",)),
            "gaps": counter("gaps", "Gaps in offsets: reread after a rebalance, or accepted because the records are gone", ("stage", "kind")),
            "batch_seconds": histogram("batch_seconds", "Time of one step, from records to published outputs", ("stage",), BATCH),
            "lag_seconds": gauge(
                "lag_seconds", "How far the stage is behind, by the time of the last event it applied; 0 when there is nothing to do", ("stage",)
            ),
            "lag_records": gauge("lag_records", "Records between the cursor and the end of the log", ("stage",)),
            "idle_seconds": gauge("idle_seconds", "Time since the stage last ended a step, or since it had nothing to do", ("stage",)),
            "stage_stopped": gauge("stage_stopped", "Whether the stage stopped for good, until somebody mends the cause: 1, else 0", ("stage",)),
            "ready": gauge("ready", "Whether the process is of use, as /readyz says: 1, else 0; looked at every few seconds", ()),
            "requests": counter("requests", "HTTP requests answered", ("route", "status")),
            "limited": counter("limited", "Requests refused with 429, by whose limit it was", ("limit",)),
            "spool_bytes": gauge("spool_bytes", "Bytes in the spool, of the limit that PARLEY_SPOOL_BYTES sets", ()),
            "spool_limit_bytes": gauge("spool_limit_bytes", "Bytes that the spool may hold; 0: there is none", ()),
            "spool_records": gauge("spool_records", "Records in the spool that are not on the bus yet", ()),
            "spool_age_seconds": gauge("spool_age_seconds", "Age of the oldest record in the spool; 0 when it is empty", ()),
            "spool_set_aside": gauge(
                "spool_set_aside", "Pieces of the spool that could not be drained, since the process began; each is a file beside it", ()
            ),
            "queue_depth": gauge("queue_depth", "Messages waiting to be sent", ("lane", "purpose")),
            "queue_age_seconds": gauge("queue_age_seconds", "Age of the oldest message waiting that is due", ("lane", "purpose")),
            "lane_paused": gauge("lane_paused", "Whether people have paused the lane: 1, else 0", ("lane",)),
            "lane_circuit_open": gauge(
                "lane_circuit_open", "Whether the lane's circuit is open, so that nothing leaves but a trial: 1, else 0", ("lane",)
            ),
            "unknown": gauge("unknown", "Messages of which nobody knows whether they left", ("tenant",)),
            "unknown_age_seconds": gauge("unknown_age_seconds", "How long the oldest of these waits to be settled", ("tenant",)),
            "outbox_entries": gauge("outbox_entries", "Requests over HTTP whose events are not on the bus yet", ()),
            "outbox_age_seconds": gauge("outbox_age_seconds", "Age of the oldest of these; 0 when there is none", ()),
            "attempts": counter("attempts", "Calls to providers by outcome", ("lane", "outcome")),
            "withheld": counter(
                "withheld",
                "Messages that the gate let not go: held (once for each reason), suppressed, expired; `listed` for an address on the list",
                ("lane", "status", "reason"),
            ),
            "throttle_seconds": counter("throttle_seconds", "Time that lanes waited for their own rate or a provider's 429", ("lane", "cause")),
            "smpp_bound": gauge(
                "smpp_bound", "Whether the bind at the operator stands: 1, else 0; each lane is bound by the process that drives it", ("lane",)
            ),
            "end_to_end_seconds": histogram("end_to_end_seconds", "From the webhook's arrival to the provider's answer", ("purpose",), LATENCY),
            "campaign_rate": gauge(
                "campaign_rate", "Rates of recent campaigns, people over delivered", ("tenant", "campaign", "channel", "variant", "rate")
            ),
            "scores": counter("scores", "People whose scores moved by enough to be told", ()),
            "timers": counter("timers", "Timers of flows that were due and put on the bus", ()),
            "timer_lateness_seconds": histogram(
                "timer_lateness_seconds", "How late the first timer of a page was published; a page has up to 500", (), LATENCY
            ),
            "calls": counter("calls", "Calls that flows asked for, by how they ended; `again` is tried once more", ("service", "outcome")),
            "call_seconds": histogram("call_seconds", "Time of one call that a flow asked for", ("service",), LATENCY),
            "flows_refused": gauge("flows_refused", "Files of flows that are refused, while the last good version stays in force", ()),
            "webhooks": gauge("webhooks", "Webhooks of tenants that work, that fail since their last success, and that are disabled", ("state",)),
            "webhook_posts": counter(
                "webhook_posts", "Calls to tenants' webhooks: `sent`, `due` (tried again) or `failed` (the last try)", ("state",)
            ),
            "webhook_seconds": histogram("webhook_seconds", "Time of one call to a webhook", (), LATENCY),
            "webhook_late_seconds": gauge(
                "webhook_late_seconds", "How long the oldest post that is due at a webhook that works waits for its call", ()
            ),
        }
        for name, metric in catalogue.items():
            object.__setattr__(self, name, metric)
