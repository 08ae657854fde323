"""What the counters must be, computed the slow and obvious way from a whole log: nothing here is shared with the service.

For each message look at all of its events, for each order at all clicks, for each person at all of their messages. No merging, no differences.
"""

from collections import Counter
from datetime import timedelta

from parley.contracts import CustomerActed, DeliveryChanged, EngagementRecorded, Envelope


def counters(log: list[Envelope]) -> dict[tuple, Counter]:
    """Counts by (tenant, campaign, channel, variant, purpose, start of the quarter of an hour); zero counts are left out."""
    messages = {}
    for event in sorted(log, key=lambda event: event.time):
        if isinstance(event.data, DeliveryChanged | EngagementRecorded):
            messages.setdefault(event.data.message_id, []).append(event)
    paid = converting_messages(log)
    found: dict[tuple, Counter] = {}
    people: dict[tuple, list] = {}
    for message_id, events in messages.items():
        story = Story(events, message_id in paid)
        if story.dimensions is None or story.began is None:
            continue
        found.setdefault((*story.dimensions, quarter(story.began)), Counter()).update(story.counts())
        if story.sent:
            people.setdefault((*story.dimensions, events[0].data.contact_id), []).append(story)
    for (*dimensions, _), stories in people.items():
        first = min(story.began for story in stories)
        here = found.setdefault((*dimensions, quarter(first)), Counter())
        here["people_sent"] += 1
        for what in ("delivered", "opened", "clicked", "converted"):
            here[f"people_{what}"] += any(getattr(story, what) for story in stories)
    return {key: +counts for key, counts in found.items() if +counts}


class Story:
    """All that happened to one message."""

    def __init__(self, events: list[Envelope], paid: bool) -> None:
        told = [event for event in events if isinstance(event.data, DeliveryChanged) and event.data.status not in ("queued", "held")]
        self.dimensions = None
        if told:
            data = told[0].data
            self.dimensions = (told[0].tenant, data.campaign, str(data.channel), data.variant, str(data.purpose))
        self.status = {str(event.data.status): event.data.at for event in reversed(told)}
        engaged = [event.data for event in events if isinstance(event.data, EngagementRecorded)]
        self.by_people = {one.kind: one.at for one in reversed(engaged) if one.by == "human" and one.kind in ("opened", "clicked")}
        self.by_machines = {one.kind for one in engaged if one.by != "human"}
        arrivals = [at for status, at in self.status.items() if status in ("delivered", "read")] + list(self.by_people.values())
        departures = arrivals + ([self.status["sent"]] if "sent" in self.status else [])
        self.delivered, self.sent = bool(arrivals), bool(departures)
        self.opened = "opened" in self.by_people or "read" in self.status
        self.clicked = "clicked" in self.by_people
        self.converted = paid
        endings = [self.status[status] for status in ("failed", "unknown", "suppressed", "expired") if status in self.status]
        self.began = min(departures or endings, default=None)

    def counts(self) -> Counter:
        found = Counter({what: int(getattr(self, what)) for what in ("sent", "delivered", "opened", "clicked", "converted")})
        if self.sent:
            found["opened_machine"] = int("opened" in self.by_machines)
            found["clicked_machine"] = int("clicked" in self.by_machines)
        if "failed" in self.status:
            found["failed"] = int(not self.delivered)
        elif not self.sent:
            found[next(status for status in ("unknown", "suppressed", "expired") if status in self.status)] = 1
        return found


def converting_messages(log: list[Envelope]) -> set:
    """The messages that an order is owed to: the last one that the buyer clicked within the seven days before it."""
    placed: dict[tuple, list] = {}
    for event in log:
        if isinstance(event.data, CustomerActed) and event.data.name == "order.placed":
            placed.setdefault((event.tenant, event.data.properties["order_id"]), []).append((event.data.occurred_at, event.data.contact_id))
    clicks = [event.data for event in log if isinstance(event.data, EngagementRecorded) and event.data.kind == "clicked" and event.data.by == "human"]
    found = set()
    for tellings in placed.values():
        at, buyer = min(tellings)
        theirs = [(one.at, one.message_id) for one in clicks if one.contact_id == buyer and at - timedelta(days=7) <= one.at <= at]
        if theirs:
            found.add(max(theirs)[1])
    return found


def quarter(moment):
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
