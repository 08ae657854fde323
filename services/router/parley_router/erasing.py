"""Forgetting a contact: of all that is known only the refusals stay, and sender is asked to forget too. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from parley.contracts import (
    ConsentChanged,
    ConsentState,
    ContactAbsorbed,
    ContactErased,
    ContactMerged,
    ContactParted,
    ConversationChanged,
    Data,
    ErasureRequested,
)
from parley_router.merging import TICK, channel_of, purpose_of
from parley_router.state import ContactState, Known, Part

Joining = ContactMerged | ContactParted | ContactAbsorbed


def erased(state: ContactState, data: ContactErased) -> tuple[ContactState, list[Data]]:
    """The contact as somebody of whom only is known what they refused, and what others must hear."""
    refused = {key: agreed for key, agreed in state.consents.items() if agreed.state is ConsentState.REVOKED}
    parts = {one: Part(version=part.version) for one, part in state.parts.items()}  # what is older than these versions stays unheard
    after = ContactState(consents=refused, merged=state.merged, parts=parts, erased=data.at)
    return after, list(_told(state, data))


def late(state: ContactState, data: Joining) -> Joining | None:
    """What was said of who is who, as far as it still means anything: what was decided before the erasure brings back refusals alone."""
    if state.erased is None or data.at > state.erased:
        return data
    if not isinstance(data, ContactAbsorbed):
        return None
    refused = {key: agreed for key, agreed in Known.model_validate(data.known).consents.items() if agreed.state is ConsentState.REVOKED}
    return data.model_copy(update={"known": Known(consents=refused).model_dump(mode="json", exclude_defaults=True), "lasting": True})


def _told(state: ContactState, data: ContactErased) -> Iterator[Data]:
    """That nobody waits any more; the consents once more, without their addresses, for the topic keeps the last word on each for ever; and the request."""
    current = state.conversation
    if current is not None and current.waiting:
        yield ConversationChanged(
            contact_id=data.contact_id, conversation_id=current.id, change="resolved", team=current.team, channel=state.channel, by="system", at=data.at,
        )  # fmt: skip
    for key, agreed in state.consents.items():
        stays = agreed.state is ConsentState.REVOKED
        yield ConsentChanged(
            contact_id=data.contact_id, channel=channel_of(key), purpose=purpose_of(key), state=ConsentState.REVOKED if stays else ConsentState.PENDING,
            source="erased", at=agreed.at if stays else max(agreed.at + TICK, data.at),
        )  # fmt: skip
    yield ErasureRequested(contact_id=data.contact_id, addresses=state.addresses, at=data.at)
