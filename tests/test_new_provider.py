"""A new provider is one file, its name in the registry, and its samples: tried with one that is made up, in a copy of the tree."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MADE_UP = ROOT / "tests" / "made_up"
REGISTRY = "libs/shared/parley/channels/__init__.py"
PATHS = ("libs/shared", "services/ingest", "services/router", "services/sender", "services/analytics")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy with the provider added: the file, its name where names stand, the samples, the page. Nothing else is touched."""
    copy = tmp_path_factory.mktemp("tree")
    unwanted = shutil.ignore_patterns("__pycache__", ".*")
    for folder in ("libs", "services", "tests", "docs/channels", "config"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copy(MADE_UP / "pigeon.py", copy / "libs/shared/parley/channels")
    registry = copy / REGISTRY
    registered = (
        registry.read_text()
        .replace("    plain,\n", "    pigeon,\n    plain,\n")
        .replace('    "plain": plain,\n', '    "plain": plain, "pigeon": pigeon,\n')
    )
    registry.write_text(registered)
    shutil.copytree(MADE_UP / "samples", copy / "tests/samples/pigeon")
    shutil.copy(MADE_UP / "pigeon.md", copy / "docs/channels")
    return copy


def run(tree: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in that tree: its packages come before those that are installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), *(str(tree / one) for one in PATHS)]), **variables}
    return subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_its_samples_and_its_page_are_walked(tree):
    """By the tests that there are; without its file in the registry they would not know it."""
    walked = run(
        tree, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "tests/test_samples.py", "tests/test_channel_pages.py", "-k", "pigeon or provider"
    )
    passed = {line.partition("::")[2].split()[0] for line in walked.stdout.splitlines() if "PASSED" in line}

    assert 0 == walked.returncode, walked.stdout
    assert {
        *(f"test_a_received_request_reads_as_it_should[pigeon/{one}]" for one in ("letters", "bad_signature", "broken")),
        *(f"test_an_answered_send_reads_as_it_should[pigeon/send/{one}]" for one in ("accepted", "full")),
        "test_the_example_of_a_page_parses[pigeon]", "test_every_provider_has_samples", "test_no_folder_of_a_provider_is_empty",
    } <= passed  # fmt: skip


def test_the_type_checker_holds_it_against_the_protocol(tree):
    """A function that is missing, or takes something else, is found before anything runs."""
    module = tree / "libs/shared/parley/channels/pigeon.py"
    whole = module.read_text()
    checked = [run(tree, "-m", "mypy", "-p", "parley.channels")]
    module.write_text(whole.replace("def segments(content: Content) -> int:", "def segments(content: str) -> int:"))
    checked.append(run(tree, "-m", "mypy", "-p", "parley.channels"))
    module.write_text(whole)

    assert [0, 1] == [one.returncode for one in checked], checked[0].stdout
    assert 'incompatible type "str": Module; expected "str": "Provider"' in checked[1].stdout


@pytest.mark.stack
def test_a_webhook_comes_in_and_a_message_goes_out(tree, stack, database):
    """Through ingest and sender as they are: refused without a signature, read with it, answered through the provider's own API."""
    done = run(tree, "-m", "tests.made_up.way", PARLEY_KAFKA=stack.kafka, PARLEY_DATABASE=database)

    assert 0 == done.returncode, done.stderr
    assert {"statuses": [401, 204], "heard": ["coop-12", "coo"], "carried": [["coop-12", "coo coo"]]} == json.loads(done.stdout.splitlines()[-1])
