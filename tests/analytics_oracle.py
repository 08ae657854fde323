"""What the figures must be, computed the slow and obvious way from a whole log: nothing here is shared with the service.

For each message look at all of its events, for each reply, refusal and order at all messages and clicks, for each person at all of their messages. No merging,
no differences.
"""

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import groupby

from parley.contracts import ConsentChanged, CustomerActed, DeliveryChanged, EngagementRecorded, Envelope, MessageReceived, OptedOut

PEOPLE = ("delivered", "opened", "clicked", "replied", "converted", "opted_out")
RULE = {"window": timedelta(days=7), "after_delivery": timedelta(0), "goals": ("order.placed",), "currency": ""}


def figures(log: list[Envelope], rules: dict | None = None) -> dict[str, dict]:
    """The counters, reasons, money, worth and unowed of a log; what is zero is left out. `rules`: attribution by tenant."""
    stories = told(log)
    owe_replies(log, stories)
    owe_refusals(log, stories)
    orders = owe_orders(log, stories, rules or {})
    counters, reasons, money = defaultdict(Counter), Counter(), defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    for story in stories.values():
        if story.dimensions is None:
            continue
        here = (*story.dimensions, quarter(story.began))
        counters[here].update(story.counts())
        if story.ended:
            reasons[(*here, *story.ended)] += 1
        if story.price is not None:
            money[(*here, story.price[1])][2] += story.price[0]
    for (dimensions, _), group in persons(stories):
        here = counters[(*dimensions, quarter(min(story.began for story in group)))]
        here["people_sent"] += 1
        for what in PEOPLE:
            here[f"people_{what}"] += any(story.is_so(what) for story in group)
    unowed = defaultdict(lambda: [0, Decimal(0)])
    spent = defaultdict(list)
    for (tenant, goal, _), (at, buyer, value, currency, story) in orders.items():
        if story is None or story.dimensions is None:
            row = unowed[tenant, goal, quarter(at), currency]
        else:
            row = money[(*story.dimensions, quarter(story.began), currency)]
            spent[story.dimensions, buyer, currency].append(value)
        row[0] += 1
        row[1] += value
    return {
        "counters": {key: +counts for key, counts in counters.items() if +counts},
        "reasons": dict(reasons),
        "money": {key: tuple(row) for key, row in money.items() if any(row)},
        "worth": worth(spent),
        "unowed": {key: tuple(row) for key, row in unowed.items()},
    }


def counters(log: list[Envelope]) -> dict[tuple, Counter]:
    return figures(log)["counters"]


def worth(spent: dict) -> dict:
    """How many people of a cell bought in a currency, what they spent, and the sum of its squares."""
    found = defaultdict(list)
    for (dimensions, _, currency), values in spent.items():
        found[(*dimensions, currency)].append(sum(values))
    return {key: (len(totals), sum(totals), sum(total * total for total in totals)) for key, totals in found.items()}


class Story:
    """All that happened to one message."""

    def __init__(self, message_id, events: list[Envelope]) -> None:
        self.id = message_id
        self.contact = events[0].data.contact_id
        engaged = [event.data for event in events if isinstance(event.data, EngagementRecorded)]
        deliveries = [event.data for event in events if isinstance(event.data, DeliveryChanged) and event.data.status != "queued"]
        tenants = [event.tenant for event in events if isinstance(event.data, DeliveryChanged)]
        self.dimensions = dimensions(tenants[0], deliveries[0]) if deliveries else None
        self.told = {status: [one for one in deliveries if one.status == status] for status in {str(one.status) for one in deliveries}}
        self.refused = {kind: [one.at for one in engaged if one.kind == kind] for kind in ("unsubscribed", "complained")}
        self.hits = [one for _, group in groupby(sorted(engaged, key=hit), hit) if (one := max(group, key=certainty)).kind in ("opened", "clicked")]
        self.segments = max((one.segments for one in deliveries), default=0)
        prices = [(one.at, one.price, one.currency or "") for one in deliveries if one.price is not None]
        self.price = max(prices)[1:] if prices else None
        self.replies = self.refusals = self.orders = 0

    def by(self, kind: str, person: bool) -> list:
        return [one.at for one in self.hits if one.kind == kind and (one.by == "human") == person]

    def times(self, *statuses: str) -> list:
        return [one.at for status in statuses for one in self.told.get(status, ())]

    @property
    def arrivals(self) -> list:
        people = self.by("opened", True) + self.by("clicked", True)
        return self.times("delivered", "read") + people + self.refused["unsubscribed"] + self.refused["complained"]

    @property
    def departures(self) -> list:
        return self.times("sent") + self.arrivals

    @property
    def began(self):
        endings = self.times("failed", "unknown", "suppressed", "expired")
        return min(self.departures or endings or [max(self.times("held"))])

    @property
    def dead(self) -> bool:
        return bool(self.times("failed")) and not self.arrivals

    @property
    def unreachable(self) -> bool:
        """Failed because nobody has that number."""
        return any(one.reason == "provider:30005" and one.channel == "sms" for one in self.told.get("failed", ()))

    def is_so(self, what: str) -> bool:
        arrived, left = bool(self.arrivals), bool(self.departures)
        likely = arrived or (left and not self.times("failed"))
        answered = likely and self.replies + self.refusals > 0
        return {
            "sent": left,
            "delivered": arrived or answered,
            "opened": bool(self.by("opened", True) + self.times("read")),
            "clicked": bool(self.by("clicked", True)),
            "replied": likely and self.replies > 0,
            "converted": arrived and self.orders > 0,
            "opted_out": bool(self.refused["unsubscribed"] + self.refused["complained"]) or (likely and self.refusals > 0),
            "complained": bool(self.refused["complained"]),
            "bounced": bool(self.times("sent")) and not arrived and self.unreachable,
            "opened_machine": left and bool(self.by("opened", False)),
            "clicked_machine": left and bool(self.by("clicked", False)),
        }[what]

    @property
    def ended(self) -> tuple[str, str] | None:
        """How it ended short of its person, or what it waits for, and why."""
        if self.arrivals or (self.departures and "failed" not in self.told):
            return None
        for status in ("failed", "unknown", "suppressed", "expired", "held"):
            if status in self.told:
                reasons = [(one.at, plain(one.reason)) for one in self.told[status]]
                return status, (max(reasons) if status == "held" else min(reasons))[1]
        return None

    def counts(self) -> Counter:
        names = ("sent", *PEOPLE, "complained", "bounced", "opened_machine", "clicked_machine")
        found = Counter({what: int(self.is_so(what)) for what in names})
        found["segments"] = self.segments if self.departures else 0
        if self.ended and self.ended[0] != "held":
            found[self.ended[0]] = 1
        return found


def told(log: list[Envelope]) -> dict:
    """The story of each message."""
    found = defaultdict(list)
    for event in log:
        if isinstance(event.data, DeliveryChanged | EngagementRecorded):
            found[event.data.message_id].append(event)
    return {message: Story(message, events) for message, events in found.items()}


def dimensions(tenant: str, data: DeliveryChanged) -> tuple:
    flow = (data.flow or "").split("@")[0]
    return (tenant, data.campaign or "", str(data.channel), data.variant or "", str(data.purpose), data.language or "", flow, data.step or "")


def hit(data: EngagementRecorded) -> tuple:
    """What was judged: told by its id, else by the link in its message."""
    return (str(data.contact_id), data.at, str(data.hit) if data.hit else f"{data.message_id} {data.kind} {data.link}")


def certainty(data: EngagementRecorded) -> tuple:
    return (data.rules or 0, data.revision, data.by == "human")


def plain(reason: str | None) -> str:
    """`provider:30003` stays; of anything with words in it the first one."""
    if not reason:
        return ""
    return reason if " " not in reason else reason.split(":")[0].split(" ")[0]


def latest(stories, contact, channel, at, within):
    """The last message that left for a contact on a channel before a moment, and did not fail."""
    fit = [
        (min(story.departures), story.id)
        for story in stories.values()
        if story.dimensions and story.contact == contact and story.dimensions[2] == channel and story.departures and not story.dead
        and at - within <= min(story.departures) <= at
    ]  # fmt: skip
    return stories[max(fit)[1]] if fit else None


def owe_replies(log: list[Envelope], stories: dict) -> None:
    said = {event.data.message_id: event.data for event in log if isinstance(event.data, MessageReceived) and event.data.text != "STOP"}
    for data in said.values():
        story = latest(stories, data.contact_id, data.channel, data.received_at, timedelta(hours=72))
        if story and data.kind != "system":
            story.replies += 1


def owe_refusals(log: list[Envelope], stories: dict) -> None:
    """A refusal told at the time of an unsubscription or complaint is that one."""
    by_link = {(event.data.contact_id, event.data.at) for event in log
               if isinstance(event.data, EngagementRecorded) and event.data.kind in ("unsubscribed", "complained")}  # fmt: skip
    refusals = set()
    for event in log:
        data = event.data
        if isinstance(data, ConsentChanged | OptedOut) and data.state == "revoked" and getattr(data, "source", "") not in ("merge", "erased"):
            refusals.add((data.contact_id, data.at, data.channel))
        if isinstance(data, MessageReceived) and data.text == "STOP":
            refusals.add((data.contact_id, data.received_at, data.channel))
    for contact, at, channel in refusals:
        story = latest(stories, contact, channel, at, timedelta(days=7))
        if story and (contact, at) not in by_link:
            story.refusals += 1


def owe_orders(log: list[Envelope], stories: dict, rules: dict) -> dict:
    """What was bought, and the message it is owed to: by tenant, goal and number."""
    placed = defaultdict(list)
    for event in log:
        data, rule = event.data, rules.get(event.tenant, RULE)
        if isinstance(data, CustomerActed) and data.name in rule["goals"]:
            currency = data.properties.get("currency") or rule["currency"]
            told = (data.occurred_at, data.contact_id, Decimal(str(data.properties["total"])), currency)
            placed[event.tenant, data.name, data.properties["order_id"]].append(told)
    found = {}
    for key, tellings in placed.items():
        at, buyer, value, currency = min(tellings)
        rule = rules.get(key[0], RULE)
        theirs = [story for story in stories.values() if story.contact == buyer]
        clicks = [(click, story.id) for story in theirs for click in story.by("clicked", True) if at - rule["window"] <= click <= at]
        arrived = [(min(story.arrivals), story.id) for story in theirs if story.dimensions and story.arrivals and min(story.arrivals) <= at]
        recent = [one for one in arrived if one[0] >= at - rule["after_delivery"]] if rule["after_delivery"] else []
        owed = max(clicks or recent, default=None)
        story = stories[owed[1]] if owed else None
        if story:
            story.orders += 1
        found[key] = (at, buyer, value, currency, story)
    return found


def persons(stories: dict) -> list:
    """The messages that were sent, by their dimensions and person."""
    found = defaultdict(list)
    for story in stories.values():
        if story.dimensions and story.departures:
            found[story.dimensions, story.contact].append(story)
    return list(found.items())


def quarter(moment):
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
