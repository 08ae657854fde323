"""`python -m bench [--json] [--only router,edge] [--repeat N] [--write PAGE]`. On a Kafka and a PostgreSQL of its own, or those of the settings."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import uvloop

from bench import analytics, crowd, edge, facts, journey, memory, normaliser, report, reports, router, scale, sender
from bench.measure import Finding
from parley import log, service
from parley import settings as settings_
from parley.local import Places, StackError, free_port
from parley.local.stack import serving
from parley.settings import Settings
from parley.yamlfile import ConfigError

BENCHMARKS: Mapping[str, Callable[[Settings, int], Awaitable[list[Finding]]]] = {
    "router": router.run,
    "scale": scale.run,
    "edge": edge.run,
    "normaliser": normaliser.run,
    "analytics": analytics.run,
    "sender": sender.run,
    "crowd": crowd.run,
    "end_to_end": journey.run,
}
LONG: Mapping[str, Callable[[Settings, int], Awaitable[list[Finding]]]] = {"memory": memory.run, "reports": reports.run, "facts": facts.run}
"""Run only when named: a million events take a quarter of an hour and more, and filling a year of figures, or ten million facts, takes minutes."""
EVERY = {**BENCHMARKS, **LONG}
ROUNDS = 3


def main() -> None:
    """The entry point. What goes on is told on standard error; standard output has the table, and with --json one line of JSON as its last."""
    asked = _arguments(sys.argv[1:])
    try:
        settings = settings_.read(log_level="error")
        log.configure(settings, "bench")
        on, began = report.machine(), time.monotonic()
        findings = uvloop.run(_all(settings, asked.only, asked.repeat))
        sys.stdout.write(f"\n{on.words}\n\n{report.table(findings)}\n")
        if asked.write:
            command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
            asked.write.write_text(report.written(asked.write.read_text(encoding="utf-8"), findings, on, command), encoding="utf-8")
        if asked.json:
            sys.stdout.write(report.figures(findings, on, time.monotonic() - began).decode() + "\n")
    except (StackError, ConfigError, settings_.SettingsError, RuntimeError) as error:
        sys.stderr.write(f"bench: {error}\n")
        raise SystemExit(2) from error
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise SystemExit(130) from None


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Parley against floors of the same run.")
    parser.add_argument("--json", action="store_true", help="the figures as one line of JSON, the last of the output")
    parser.add_argument("--only", type=_names, default=tuple(BENCHMARKS), metavar="NAMES", help=f"of {','.join(BENCHMARKS)}, or memory or reports")
    parser.add_argument("--repeat", type=int, default=ROUNDS, metavar="N", help="rounds of each comparison, after one that does not count")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="puts the figures into this page, docs/benchmarks.md")
    found = parser.parse_args(words)
    if found.repeat < 1:
        parser.error("--repeat needs a number from 1 on")
    if found.write and found.only not in (tuple(BENCHMARKS), ("memory",)):
        parser.error("--write puts down a whole run: leave --only away, or name memory alone")
    return found


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in EVERY]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(EVERY)}")
    return names


async def _all(settings: Settings, names: Sequence[str], rounds: int) -> list[Finding]:
    """The benchmarks one after the other, on one pair of servers."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # servers and folders go in any case
    service.rarely_collect()  # this process runs stages as a service does, so it also collects as one
    found: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="parley-bench-", ignore_cleanup_errors=True) as folder:
        async with serving(settings, Places(Path(folder), free_port(), free_port()), _say) as own:
            for name in names:
                _say(f"measuring {name}")
                found += await EVERY[name](own, rounds)
    return found


def _say(sentence: str) -> None:
    sys.stderr.write(f"bench: {sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
