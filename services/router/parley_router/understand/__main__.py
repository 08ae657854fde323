"""`python -m parley_router.understand --train FILE --test FILE [--json]`: how well a set of sentences is understood, learnt from a few examples each."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is there: a message is measured on one core

import typer

from parley import yamlfile
from parley.yamlfile import ConfigError
from parley_router.understand import evaluation, shipped
from parley_router.understand.evaluation import Figures, Sentences
from parley_router.understand.reading import Reading
from parley_router.understand.understanding import Asked, Understanding

SINGLE = 100
"""Sentences that are read one by one, to know what a message costs alone."""
DAY = date(2026, 1, 5)
"""The day that it is for the sentences: figures do not depend on when they are made."""


def evaluate(
    train: Annotated[Path, typer.Option(help="Sentences to learn from: `intents: {NAME: {train: {ko: [...], en: [...]}}}`.")],
    test: Annotated[
        Path, typer.Option(help="Sentences to be tested with: `test` beside `train`, and `strangers`, `optouts`, `lookalikes`. May be the same file.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, without the table.")] = False,
    encoder: Annotated[str, typer.Option(help="e5 (with use beside it) or use; default: the best that is installed.")] = "",
    misses: Annotated[bool, typer.Option(help="Print every sentence that was not right.")] = False,
) -> None:
    """Learns the examples of one file and reads the sentences of another, with the figures of docs/understanding.md."""
    try:
        known, asked = yamlfile.read(train, Sentences), yamlfile.read(test, Sentences)
        begun = time.perf_counter()
        kind = _kind(encoder)
        understanding = Understanding.load(evaluation.examples(known), shipped.encoder(kind), shipped.adapter(kind))
        loaded = time.perf_counter() - begun
    except (ConfigError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    tested = evaluation.asked(asked)
    messages = [Asked(one.text, DAY) for one in tested]
    begun = time.perf_counter()
    readings = [reading for start in range(0, len(messages), 32) for reading in understanding.read(messages[start : start + 32])]
    batched = time.perf_counter() - begun
    found = evaluation.figures(tested, readings, understanding.leaving_intents).model_copy(
        update={
            "milliseconds_a_message": _alone(understanding, messages),
            "milliseconds_a_message_batched": round(batched / max(len(messages), 1) * 1000, 2),
            "load_seconds": round(loaded, 2),
            "model": understanding.model,
        }
    )
    if as_json:
        sys.stdout.write(json.dumps(found.model_dump(), indent=2) + "\n")
        return
    _print(found, evaluation.confusion(tested, readings))
    if misses:
        _misses(tested, readings)


def _kind(name: str) -> shipped.Kind:
    if name not in ("", "e5", "use"):
        raise ValueError(f"there is no encoder {name!r}; known: e5, use")
    return "e5" if name == "e5" else "use" if name == "use" else shipped.best()


def _alone(understanding: Understanding, messages: Sequence[Asked]) -> float | None:
    """Milliseconds of processor time that a message costs when it comes alone: the median, so that a busy machine does not count."""
    costs = []
    for one in messages[:: max(1, len(messages) // SINGLE)][:SINGLE]:
        begun = time.process_time()
        understanding.read([one])
        costs.append(time.process_time() - begun)
    return round(sorted(costs)[len(costs) // 2] * 1000, 2) if costs else None


def _print(found: Figures, table: Mapping[str, Counter[str]]) -> None:
    for name, value in found.model_dump().items():
        sys.stdout.write(f"{name:32} {value if not isinstance(value, float) else f'{value:.3f}'}\n")
    sys.stdout.write("\n")
    for intent, taken in table.items():
        row = ", ".join(f"{name} {count}" for name, count in taken.most_common())
        sys.stdout.write(f"{intent:24} {row}\n")


def _misses(tested: Sequence[evaluation.Asked], readings: Sequence[Reading]) -> None:
    for one, reading in zip(tested, readings, strict=True):
        wrong = {
            "intent": one.intent not in reading.intents or reading.leaving,
            "strangers": reading.verdict != "unknown" or reading.leaving,
            "optouts": not reading.leaving,
            "lookalikes": reading.leaving,
        }[one.kind]
        if wrong:
            best = ", ".join(f"{candidate.intent} {candidate.probability:.2f}" for candidate in reading.candidates[:3])
            doubts = f"stranger {reading.stranger:.2f}, leaving {reading.leaving_probability:.2f}"
            sys.stdout.write(f"{one.intent or one.kind:20} {one.text!r}: {reading.verdict}, {best}; {doubts}\n")


if __name__ == "__main__":
    typer.run(evaluate)
