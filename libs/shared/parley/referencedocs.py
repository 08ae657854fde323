"""The reference as pages: `docs/settings.md` and `docs/metrics.md`, made from the two catalogues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from parley.metrics import Metrics
from parley.settings import Settings

SETTINGS = """\
# Settings

Environment variables, the same for all services; a wrong value is refused at the start with the variable's name. Made from `parley/settings.py` by `make docs`.

"""
METRICS = """\
# Metrics

Every service gives them at `/metrics`, in Prometheus' text form; those that a service has no use for stay empty. Observed once a batch.
Made from `parley/metrics.py` by `make docs`.

"""


def write(folder: Path) -> list[Path]:
    """Writes the pages into `folder` and gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {folder / "settings.md": settings_page(), folder / "metrics.md": metrics_page(Metrics())}
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")
    return list(pages)


def settings_page() -> str:
    """Every setting with its default and its meaning."""
    rows = ((f"`PARLEY_{name.upper()}`", _default(field), _values(field), field.description or "") for name, field in Settings.model_fields.items())
    return SETTINGS + _table(("variable", "default", "values", "meaning"), rows)


def metrics_page(metrics: Metrics) -> str:
    """Every metric with its kind, its labels and its meaning."""
    found = (one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase))
    return METRICS + _table(("metric", "kind", "labels", "meaning"), (_metric(one) for one in found))


def _metric(one: MetricWrapperBase) -> tuple[str, str, str, str]:
    family = next(iter(one.describe()))
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"`{name}`", family.type, ", ".join(one._labelnames), family.documentation


def _default(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else str(field.default)
    return f"`{value}`" if value else ""


def _values(field: FieldInfo) -> str:
    """What may be given: one of some words, or a number within limits."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = [f"{sign} {getattr(rule, name):,}" for rule in field.metadata for name, sign in signs.items() if getattr(rule, name, None) is not None]
    return ", ".join(limits)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(_line(cells) for cells in (head, ["---"] * len(head), *rows))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
