"""Saying something in a walk: texts filled in by language, pictures, choices, cards. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parley.contracts import Card, Channel, Content, Media
from parley_router.language import spoken
from parley_router.steps import Card as CardEntry
from parley_router.steps import File, Say, Text
from parley_router.walk import Said, Walk

KEPT = 500
"""Characters of an answer or a value that are kept."""


def told(
    walk: Walk,
    text: Text,
    files: Sequence[File] = (),
    *,
    short: Text | None = None,
    choices: bool = False,
    cards: tuple[Card, ...] = (),
    over: tuple[Channel, ...] = (),
) -> str:
    """Says a text of the step; gives what was said."""
    words = spoken(text, walk.language, walk.shelf.languages)
    brief = spoken(short, walk.language, walk.shelf.languages) if short else None
    # What is known is put together only where a text asks for it: most do not.
    known = walk.known() if "{" in words or files or (brief and "{" in brief) else {}
    content = Content(
        text=rendered(walk, words, known),
        media=tuple(Media(kind=one.kind, url=rendered(walk, one.url, known)) for one in files),
        choices=walk.shelf.choices(walk.flow, walk.step, walk.language) if choices else (),
        cards=cards,
    )
    say(walk, content, rendered(walk, brief, known) if brief else None, over)
    return content.text


def say(walk: Walk, content: Content, short: str | None = None, over: tuple[Channel, ...] = ()) -> None:
    """Says this, as the step where the walk stands."""
    walk.effects.append(Said(content, walk.flow, walk.step_name, walk.variant, walk.flow.counted, short, walk.replying, over))


def rendered(walk: Walk, text: str, known: Mapping[str, Any]) -> str:
    """The text, filled in."""
    return walk.scene.book.texts.render(text, known, walk.scene.local.tzinfo) if "{" in text else text


def cards_of(walk: Walk, step: Say) -> tuple[Card, ...]:
    if not step.cards and step.each is None:
        return ()
    known = walk.known()
    found = [_card(walk, one, known) for one in step.cards]
    items = walk.slots.get(step.each) if step.each else None
    if isinstance(items, list):
        found += [_item(one) for one in items if isinstance(one, dict) and one.get("title")]
    return tuple(found[:10])


def _card(walk: Walk, card: CardEntry, known: Mapping[str, Any]) -> Card:
    languages = walk.shelf.languages
    return Card(
        title=rendered(walk, spoken(card.title, walk.language, languages), known)[:KEPT],
        text=rendered(walk, spoken(card.text, walk.language, languages), known) if card.text else "",
        image=rendered(walk, card.image, known) if card.image else None,
        url=rendered(walk, card.url, known) if card.url else None,
    )


def _item(item: Mapping[str, Any]) -> Card:
    """A card of what a service recommends; links that are none are left out."""
    links = {name: item[name] for name in ("image", "url") if str(item.get(name, "")).startswith("https://")}
    lines = [str(item[name]) for name in ("text", "price") if item.get(name) not in (None, "")]
    return Card(title=str(item["title"])[:KEPT], text="\n".join(lines)[:2000], **links)
