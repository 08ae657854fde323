"""`parley flow …`: the tools for those who write flows. What they print is their result; exit status 1: what was checked or tested is not right."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from parley import settings

app = typer.Typer(no_args_is_help=True, help="Flows: check them, test them, play them, draw them, compare them.")

Config = Annotated[
    Path | None, typer.Option("--config", help="Directory of accounts.yaml; else the one above the flows, or the flows' own.", file_okay=False)
]


class Format(StrEnum):
    SVG = "svg"
    MERMAID = "mermaid"


def flows_of(given: Path | None) -> Path:
    """The directory that was given, else the flows of PARLEY_CONFIG."""
    return given if given is not None else settings.read().config / "flows"


@app.command()
def graph(
    place: Annotated[Path | None, typer.Argument(help="A flow's file, or a directory of flows; else the flows of PARLEY_CONFIG.")] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.SVG,
    language: Annotated[str | None, typer.Option(help="Of the texts in it; else the first of each text.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write to instead.", dir_okay=False)] = None,
) -> None:
    """Draw flows: boxes for steps, arrows for where they lead."""
    from parley_router.tools import picture, sources, svg

    pictures = [picture.picture(one, language) for one in sources.drawable(flows_of(place))]
    text = svg.svg(pictures) if form is Format.SVG else picture.mermaid(pictures)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
