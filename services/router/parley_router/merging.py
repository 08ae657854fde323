"""Contacts that are one person: what the one takes over of the other, and how it forgets that again. Pure.

A contact that becomes part of another keeps its state as it was, sends what it knows, and from then on passes on whatever still comes to it. The
other one fills its gaps from that and remembers what it has from whom, so that a parting takes back that and nothing else. Of consents the
refusal wins, on either side; a refusal made while they were one stays with both. Versions are ingest's: of two words about the same
contact the greater counts, in whatever order they arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    ContactAbsorbed,
    ContactMerged,
    ContactParted,
    ConversationChanged,
    Data,
    Purpose,
)
from parley_router.state import ORDERS_KEPT, Agreement, ContactState, Known, Part

MAPS = ("profile", "addresses", "replies", "orders")
SINGLE = ("language", "account", "channel", "position")
TICK = timedelta(microseconds=1)
"""By so much what holds after a parting is later than what the joining said: sender believes it, and still any later word of the customer."""


def decide(state: ContactState, data: ContactMerged | ContactParted | ContactAbsorbed) -> tuple[ContactState, list[Data]]:
    """What joining and parting means for the contact that hears of it."""
    if isinstance(data, ContactMerged):
        return merged(state, data)
    if isinstance(data, ContactParted):
        return parted(state, data)
    return lasting(state, data) if data.lasting else absorbed(state, data)


def parts(state: ContactState) -> list[UUID]:
    """The contacts that are part of this one."""
    return [one for one, part in state.parts.items() if part.known is not None]


def merged(state: ContactState, data: ContactMerged) -> tuple[ContactState, list[Data]]:
    """Becomes part of another and sends what it knows of itself; or stands on its own again, and sender hears what it consents to itself."""
    if data.version <= state.merged:
        return state, []
    older = [one for one, part in state.parts.items() if part.version < data.version]  # they hear themselves whom they are part of from now on
    kept = _without_all(state, older)
    kept = kept.but(parts={one: part for one, part in kept.parts.items() if one not in older}, into=data.into, merged=data.version)
    if state.into is not None and kept.conversation is not None:
        kept = kept.but(conversation=kept.conversation.but(promised=None))  # whoever it was part of may have had the answer
    if data.into is None:
        return kept.but(since=None), _again(data.contact_id, kept, state.since) if state.since is not None else []
    own = _without_all(kept, parts(kept))
    told = own.model_dump(mode="json", include=set(Known.model_fields), exclude_defaults=True)
    absorbs = ContactAbsorbed(contact_id=data.into, source=data.contact_id, version=data.version, known=told, at=data.at)
    return kept.but(since=data.at), [absorbs]


def absorbed(state: ContactState, data: ContactAbsorbed) -> tuple[ContactState, list[Data]]:
    """Takes over what is known of a contact that is part of this one now."""
    before = state.parts.get(data.source)
    if data.version < state.merged or (before is not None and data.version <= before.version):
        return state, []
    known = Known.model_validate(data.known)
    after = gained(without(state, data.source), data.source, Part(version=data.version, known=known, at=data.at))
    changed = {key: agreed for key, agreed in after.consents.items() if agreed != state.consents.get(key)}
    results: list[Data] = [_consent(data.contact_id, key, agreed, data.at) for key, agreed in changed.items()]
    for key, agreed in after.consents.items():
        if agreed.state is ConsentState.REVOKED and agreed != known.consents.get(key) and channel_of(key) in known.addresses:
            results.append(_consent(data.source, key, agreed, data.at))  # what is queued for the former contact asks for its consent
    theirs = known.conversation
    if theirs is not None and theirs.waiting and (after.conversation is None or after.conversation.id != theirs.id):
        results.append(
            ConversationChanged(
                contact_id=data.contact_id,
                conversation_id=theirs.id,
                change="resolved",
                team=theirs.team,
                channel=known.channel,
                by="system",
                at=data.at,
            )
        )
    return after, results


def _again(contact: UUID, state: ContactState, since: datetime) -> list[Data]:
    """What a contact consents to itself, against what was refused for it at `since`, when it became part of another. Later words stay."""
    found: list[Data] = []
    for key in (f"{channel}:{purpose}" for channel in state.addresses for purpose in Purpose):
        own = state.consents.get(key) or Agreement(state=ConsentState.PENDING, at=since)
        if own.state is not ConsentState.REVOKED:
            found.append(_consent(contact, key, own.model_copy(update={"at": max(own.at, since) + TICK}), since))
    return found


def parted(state: ContactState, data: ContactParted) -> tuple[ContactState, list[Data]]:
    """Forgets what came from those who leave, and lets them know what was refused on their addresses meanwhile."""
    refused = {key: agreed for key, agreed in state.consents.items() if agreed.state is ConsentState.REVOKED and channel_of(key) in data.addresses}
    leaving = [one for one in data.contacts if one not in state.parts or state.parts[one].version < data.version]
    joined_at = max((state.parts[one].at or data.at for one in leaving if one in state.parts), default=data.at)
    after = _without_addresses(_without_all(state, leaving), data.addresses)
    after = _going_on(state, _refilled(after.but(parts={**after.parts, **{one: Part(version=data.version) for one in leaving}})))
    results = _given_back(data.contact_id, state.consents, after.consents, joined_at)
    if refused:
        known = Known(consents=refused).model_dump(mode="json", exclude_defaults=True)
        results.append(ContactAbsorbed(contact_id=data.other, source=data.contact_id, version=data.version, known=known, lasting=True, at=data.at))
    return after, results


def lasting(state: ContactState, data: ContactAbsorbed) -> tuple[ContactState, list[Data]]:
    """Refusals that were made for this contact while it was part of another. They are passed on where it is part of one by now."""
    told = Known.model_validate(data.known).consents
    consents = {key: _stricter(state.consents.get(key), agreed) for key, agreed in told.items()}
    after = state.but(consents={**state.consents, **consents})
    results: list[Data] = [_consent(data.contact_id, key, agreed, data.at) for key, agreed in consents.items()]
    if state.into is not None:
        results.append(data.model_copy(update={"contact_id": state.into}))
    return after, results


def gained(state: ContactState, source: UUID, part: Part) -> ContactState:
    """The state with its gaps filled from a part, which remembers what was gained and which consents it replaced."""
    known = part.known
    assert known is not None
    got: list[tuple[str, str]] = []
    changes: dict[str, object] = {}
    for field in MAPS:
        own, theirs = getattr(state, field), getattr(known, field)
        new = {key: value for key, value in theirs.items() if key not in own}
        changes[field] = {**new, **own} if field == "orders" else {**own, **new}
        got += [(field, str(key)) for key in new]
    changes["orders"] = dict(list({**known.orders, **state.orders}.items())[-ORDERS_KEPT:])
    tags = [one for one in known.tags if one not in state.tags]
    got += [("tags", one) for one in tags]
    if known.conversation is not None and (state.conversation is None or (known.conversation.waiting and not state.conversation.waiting)):
        changes["conversation"] = known.conversation
        got.append(("conversation", str(known.conversation.id)))
    for field in SINGLE:
        if getattr(state, field) is None and (value := getattr(known, field)) is not None:
            changes[field] = value
            got.append((field, ""))
    consents = {key: _stricter(state.consents.get(key), agreed) for key, agreed in known.consents.items()}
    replaced = {key: state.consents.get(key) for key, agreed in consents.items() if agreed != state.consents.get(key)}
    kept = part.but(gained=tuple(got), replaced=replaced)
    return state.but(
        **changes, tags=(*state.tags, *tags), consents={**state.consents, **consents}, received=state.received + known.received,
        parts={**state.parts, source: kept},
    )  # fmt: skip


def without(state: ContactState, source: UUID) -> ContactState:
    """The state without what it has from a part alone. What became other than it came is not the part's any more."""
    part = state.parts.get(source)
    if part is None or part.known is None:
        return state
    known, changes = part.known, dict[str, object]()
    for field in MAPS:
        own, theirs = getattr(state, field), getattr(known, field)
        lost = {key for name, key in part.gained if name == field and own.get(key) == theirs.get(key)}
        changes[field] = {key: value for key, value in own.items() if key not in lost}
    changes["tags"] = tuple(one for one in state.tags if ("tags", one) not in part.gained)
    changes |= {one: None for one in SINGLE if (one, "") in part.gained and getattr(state, one) == getattr(known, one)}
    if state.conversation is not None and ("conversation", str(state.conversation.id)) in part.gained:
        changes["conversation"] = None  # it goes on where it began
    consents = dict(state.consents)
    for key, before in part.replaced.items():
        if consents.get(key) == _stricter(before, known.consents[key]):
            consents.pop(key)
            consents |= {key: before} if before is not None else {}
    left = {one: kept for one, kept in state.parts.items() if one != source}
    return state.but(**changes, consents=consents, received=max(0, state.received - known.received), parts=left)


def _without_all(state: ContactState, sources: Iterable[UUID]) -> ContactState:
    for one in sources:
        state = without(state, one)
    return state


def _refilled(state: ContactState) -> ContactState:
    """What one part gave and took along may be known from another."""
    there = {one: part for one, part in state.parts.items() if part.known is not None}
    state = _without_all(state, there)
    for one, part in sorted(there.items(), key=lambda item: item[1].version):
        state = gained(state, one, part)
    return state


def _going_on(before: ContactState, after: ContactState) -> ContactState:
    """A conversation that came from a part which stays has gone on since it came, or was resolved."""
    now, was = before.conversation, after.conversation
    return after.but(conversation=now) if was is not None and (now is None or now.id == was.id) else after


def _without_addresses(state: ContactState, gone: Mapping[Channel, Sequence[str]]) -> ContactState:
    addresses = {channel: address for channel, address in state.addresses.items() if address not in gone.get(channel, ())}
    lost = state.addresses.keys() - addresses.keys()
    replies = {channel: place for channel, place in state.replies.items() if channel not in lost}
    return state.but(addresses=addresses, replies=replies, **({"channel": None, "account": None} if state.channel in lost else {}))


def _stricter(own: Agreement | None, theirs: Agreement) -> Agreement:
    """A refusal wins; else what was said last."""
    if own is None:
        return theirs
    refusals = [one for one in (own, theirs) if one.state is ConsentState.REVOKED]
    return max(refusals or [own, theirs], key=lambda one: one.at)


def _given_back(contact: UUID, before: Mapping[str, Agreement], after: Mapping[str, Agreement], joined_at: datetime) -> list[Data]:
    """What sender must hear of consents that are no longer another's: a moment after the word that they follow. Where nothing was said, `pending`."""
    found: list[Data] = []
    for key, was in before.items():
        now = after.get(key)
        if now != was:
            state = now.state if now is not None else ConsentState.PENDING
            found.append(_consent(contact, key, Agreement(state=state, at=max(was.at, joined_at) + TICK), joined_at))
    return found


def _consent(contact: UUID, key: str, agreed: Agreement, at: datetime) -> ConsentChanged:
    """A refusal is told as of `at`. All else is told as of when it was said: it must not outdo a refusal on its way here."""
    told = max(agreed.at, at) if agreed.state is ConsentState.REVOKED else agreed.at
    return ConsentChanged(contact_id=contact, channel=channel_of(key), purpose=purpose_of(key), state=agreed.state, source="merge", at=told)


def channel_of(key: str) -> Channel:
    """The channel that a consent is about, by its key."""
    return Channel(key.partition(":")[0])


def purpose_of(key: str) -> Purpose:
    """What for, by a consent's key."""
    return Purpose(key.partition(":")[2])
