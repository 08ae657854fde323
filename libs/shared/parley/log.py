"""The log: structlog, JSON for machines, key and value for a terminal; ids only, never an address, a text or a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from parley.settings import Settings

PRIVATE = frozenset({"address", "text", "body", "phone", "email", "token", "secret", "authorization"})


def configure(settings: Settings, service: str) -> None:
    """Sets the process's log up. Called once by `main`."""
    console = settings.log == "console" or (settings.log == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer(pad_event_to=0) if console else structlog.processors.JSONRenderer()
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_private,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)


def _without_private(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A last guard: a field that would show a person is cut, wherever it was logged."""
    for name in PRIVATE & event.keys():
        event[name] = "[cut]"
    return event
