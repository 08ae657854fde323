"""`python -m tests.governed`: plays a seed and says whether rates, law and promises held."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import orjson

from parley.local import StackError
from tests.governed.lanes import CAMPAIGN_LANES, LANES
from tests.governed.outcome import Outcome, judged
from tests.governed.playing import Plan, play
from tests.governed.strikes import EVERY, episodes, strikes
from tests.governed.traffic import made

GOOD, BAD, NOT_RUN = 0, 1, 2
"""Exit statuses: it held; it did not; it could not be run here."""


def main() -> int:
    given = _arguments()
    folder, began = given.data or Path(tempfile.mkdtemp(prefix="parley-governed-")), time.monotonic()
    lanes = (*LANES, *CAMPAIGN_LANES)
    plan = Plan(
        given.seed, given.seconds, lanes, made(given.seed, LANES, CAMPAIGN_LANES, given.seconds),
        strikes(given.seed, given.seconds, given.every) if given.strikes else (), episodes(given.seconds), given.ahead, together=True,
    )  # fmt: skip
    load = os.getloadavg()[0]
    try:
        outcome = judged(plan, asyncio.run(play(plan, folder, say)))
    except StackError as error:
        say(f"{error}; logs and data are in {folder}")
        return NOT_RUN
    _show(outcome, given.json, {"seed": given.seed, "load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1),
                                "seconds": round(time.monotonic() - began)})  # fmt: skip
    if outcome.good and given.data is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"logs, ledger and data are in {folder}")
    return GOOD if outcome.good else BAD


def _show(outcome: Outcome, json: bool, more: dict[str, object]) -> None:
    """For people on standard error with `json`, whose last line of standard output is the figures; else on standard output."""
    (sys.stderr if json else sys.stdout).write(outcome.in_words() + "\n")
    if json:
        sys.stdout.write(orjson.dumps({**outcome.as_json(), **more}).decode() + "\n")


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)  # noqa: T201


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.governed", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="for which lanes are measured while they are struck (180)")
    parser.add_argument("--seed", type=int, default=7, help="of traffic and strikes (7)")
    parser.add_argument("--every", type=float, default=EVERY, help=f"seconds between two strikes ({EVERY:.0f})")
    parser.add_argument("--strikes", action=argparse.BooleanOptionalAction, default=True, help="whether anything strikes")
    parser.add_argument("--ahead", action="store_true", help="go before whatever else runs on this machine, where the system allows it")
    parser.add_argument("--json", action="store_true", help="figures as the last line of standard output")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where to keep data and logs; else they are kept only when something did not hold"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
