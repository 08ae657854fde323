"""The log: structlog, JSON for machines, key and value for a terminal; ids only, never an address, a text or a secret."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from parley.settings import Settings

PERSONAL = re.compile(r"\+\d{6,15}\b|[\w.+-]+@[\w-]+\.[\w.-]+")
"""Phone numbers and e-mail addresses, wherever they stand in a sentence."""
PRIVATE = frozenset({"address", "text", "body", "phone", "email", "token", "secret", "authorization"})
CUT = "[cut]"


def configure(settings: Settings, service: str) -> None:
    """Sets the process's log up. Called once by `main`."""
    console = settings.log == "console" or (settings.log == "auto" and sys.stderr.isatty())
    # Plain: a traceback with all values of all frames takes seconds to draw, and may show an address.
    renderer: Any = (
        structlog.dev.ConsoleRenderer(pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    level = getattr(logging, settings.log_level.upper())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_traced),
        without_people,
    ]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_of_libraries(processors, renderer)])
    logging.captureWarnings(True)


def _of_libraries(processors: list[Any], renderer: Any) -> logging.Handler:
    """What libraries say becomes lines as our own are: whoever reads JSON finds nothing else, and no person is shown there either."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *processors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    return handler


def without_people(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A last guard: what would show a person is cut, in a field of its own or in a sentence of somebody else's."""
    for name, value in event.items():
        if name in PRIVATE:
            event[name] = CUT
        elif isinstance(value, str):
            event[name] = PERSONAL.sub(CUT, value)
    return event


def _traced(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """The trace without PostgreSQL's DETAIL, which shows the row."""
    lines = traceback.format_exception(*exc_info)
    return "".join(line.partition("\nDETAIL:")[0].rstrip("\n") + "\n" for line in lines).rstrip()
