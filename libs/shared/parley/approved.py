"""`templates.yaml`: the templates that providers have approved, so that a message which one would refuse is refused before it is sent.

Of an account that the file does not name, nothing is known, and every template passes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from parley import yamlfile
from parley.channels.shape import Account
from parley.contracts import Channel, Template
from parley.yamlfile import ConfigError

Count = Annotated[int, Field(ge=0, le=100)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")]
_UNSAYABLE = re.compile(r"[\n\r\t]| {5}")
"""What WhatsApp takes in no parameter (Meta: template components, error 132018)."""


class Form(BaseModel):
    """A template as it was approved: its languages, and how many parameters each part has. `header`: a number, or the kind of file that stands there;
    `buttons`: a number for each, 1 where a part of its address is filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[Language, ...] = Field(min_length=1)
    body: Count = 0
    header: Count | Literal["image", "video", "document"] = 0
    buttons: tuple[Annotated[int, Field(ge=0, le=1)], ...] = ()


class TemplatesFile(RootModel[dict[str, dict[Annotated[str, StringConstraints(min_length=1, max_length=200)], Form]]]):
    """The file as it stands: by account, then by name."""

    model_config = ConfigDict(frozen=True)


Approved: TypeAlias = Mapping[str, Mapping[str, Form]]


def load(directory: Path, accounts: Collection[str] | None = None) -> Approved:
    """The templates in `directory` by account and name, checked against the `accounts` that there are, where these are given; none without the file.

    Raises `ConfigError`: every complaint with file, line and reason.
    """
    path = directory / "templates.yaml"
    if not path.exists():
        return {}
    known = yamlfile.read(path, TemplatesFile).root
    strangers = [one for one in known if accounts is not None and one not in accounts]
    if strangers:
        text, there = path.read_text(encoding="utf-8"), ", ".join(accounts or ()) or "none"
        said = (yamlfile.complain(str(path), text, (one,), f"there is no account {one!r}; known: {there}") for one in strangers)
        raise ConfigError("\n".join(map(str, said)))
    return known


def check(template: Template | None, account: Account, known: Approved) -> str | None:
    """Why the provider would refuse the template of a message, as a sentence; None where it would not, where nothing is known, and where there is none."""
    forms = known.get(account.name)
    if template is None or forms is None:
        return None
    form = forms.get(template.name)
    if form is None:
        alike = get_close_matches(template.name, forms, 1)
        return f"{account.name} has no template {template.name!r}" + (
            f"; did you mean {alike[0]!r}?" if alike else f"; it has {', '.join(forms) or 'none'}"
        )
    return next(_faults(template, form, account.channel), None)


def _faults(template: Template, form: Form, channel: Channel) -> Iterator[str]:
    named = f"template {template.name!r}"
    if template.language not in form.languages:
        yield f"{named} is not approved in {template.language!r}, only in {', '.join(form.languages)}"
    yield from _count(f"{named}: the body", form.body, len(template.parameters))
    yield from _header(named, template, form)
    if len(template.buttons) > len(form.buttons):
        yield from _count(named, len(form.buttons), len(template.buttons), "button")
    for place, wanted in enumerate(form.buttons):
        given = place < len(template.buttons) and template.buttons[place] != ""
        yield from _count(f"{named}: button {place + 1}", wanted, int(given))
    if channel is Channel.WHATSAPP:
        yield from _texts(named, template)


def _header(named: str, template: Template, form: Form) -> Iterator[str]:
    kind = template.media.kind if template.media else None
    if isinstance(form.header, int) and kind is None:
        yield from _count(f"{named}: the header", form.header, len(template.header))
    elif kind != form.header or template.header:
        wanted = "no file" if isinstance(form.header, int) else f"one file of kind {form.header!r}"
        yield f"{named} has {wanted} in its header; {repr(kind) if kind else 'none'} was given"


def _count(where: str, wanted: int, given: int, what: str = "parameter") -> Iterator[str]:
    if wanted != given:
        yield f"{where} has {wanted or 'no'} {what}{'s' if wanted != 1 else ''}; {given or 'none'} {'was' if given < 2 else 'were'} given"


def _texts(named: str, template: Template) -> Iterator[str]:
    for place, one in enumerate((*template.header, *template.parameters), 1):
        if not one.strip():
            yield f"{named}: parameter {place} is empty"
        elif _UNSAYABLE.search(one):
            yield f"{named}: parameter {place} has a line break, a tab or five blanks, which WhatsApp takes in none"
