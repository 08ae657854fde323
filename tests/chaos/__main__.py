"""`python -m tests.chaos`: plays the customers of a seed untouched, then with faults, and says whether everything held."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import orjson
from rich.console import Console

from parley.local import StackError
from tests.chaos.playing import Plan, plan, play
from tests.chaos.verdict import Outcome, judge
from tests.chaos.words import in_words

GOOD, BAD, NOT_RUN, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: it held; it did not; it could not be run here; somebody ended it."""


def main() -> int:
    given = _arguments()
    folder = given.data or Path(tempfile.mkdtemp(prefix="parley-chaos-"))
    seconds = given.minutes * 60 if given.minutes is not None else None
    try:
        outcome = _played(plan(given.seed, given.kills, given.customers, given.honour_keys, seconds), folder)
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("ended before the outcome")
        if given.data is None:
            shutil.rmtree(folder, ignore_errors=True)
        return INTERRUPTED
    if outcome is None:
        return NOT_RUN
    _show(outcome, given.json)
    if outcome.good and given.data is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"logs, ledgers and data are in {folder}")
    return GOOD if outcome.good else BAD


def _played(whole: Plan, folder: Path) -> Outcome | None:
    """Both runs; None, with the reason said, where something does not start, or not again."""
    outcome = None
    try:
        outcome = asyncio.run(_both(whole, folder))
    except* StackError as errors:
        for one in _leaves(errors):
            say(str(one))
        say(f"logs and data are in {folder}")
    return outcome


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors themselves, out of the groups in which they come."""
    return [leaf for one in error.exceptions for leaf in _leaves(one)] if isinstance(error, BaseExceptionGroup) else [error]


async def _both(whole: Plan, folder: Path) -> Outcome:
    main_task = asyncio.current_task()
    assert main_task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main_task.cancel)  # as Ctrl-C: in order, and nothing is left behind
    say(f"{len(whole.customers)} customers untouched")
    untouched = await play(whole.untouched, folder / "untouched", say)
    say(f"the same customers, and {len(whole.faults)} faults")
    return judge(whole, untouched, await play(whole, folder / "struck", say))


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)  # noqa: T201


def _show(outcome: Outcome, json: bool) -> None:
    """For people on standard error with `json`, whose last line of standard output is the figures; else on standard output."""
    Console(file=sys.stderr if json else sys.stdout, width=None).print(in_words(outcome), soft_wrap=True)
    if json:
        sys.stdout.write(orjson.dumps(outcome.as_json()).decode() + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=_count, default=20, help="faults: SIGKILLs and clean restarts (20)")
    parser.add_argument("--seed", type=int, default=7, help="of customers, faults and the provider's moods (7)")
    parser.add_argument("--customers", type=_count, default=200, help="(200)")
    parser.add_argument("--minutes", type=float, help="for which customers come and faults strike (six seconds a fault)")
    parser.add_argument("--honour-keys", action=argparse.BooleanOptionalAction, default=True, help="whether the provider honours idempotency keys")
    parser.add_argument("--json", action="store_true", help="figures as the last line of standard output")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where to keep data and logs; else they are kept only when something did not hold"
    )
    return parser.parse_args()


def _count(text: str) -> int:
    if (found := int(text)) < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return found


if __name__ == "__main__":
    sys.exit(main())
