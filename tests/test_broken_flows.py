"""Broken flows: each file of flows/broken says in its first lines what is wrong with it, where, and that is all that is found; good flows beside them stay."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley import yamlfile
from parley_router import catalogue
from parley_router.checks import Complaint, complaints
from parley_router.steps import Booked, Call, Recommend
from parley_router.templates import Texts

HERE = Path(__file__).parent
BROKEN, READY = sorted((HERE / "flows" / "broken").glob("*.yaml")), sorted((HERE.parent / "config" / "flows").glob("*.yaml"))
TENANTS = {"acme": ("ko", "en")}
WANTED = re.compile(r"^# wanted: (\d+): (.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> tuple[list[catalogue.Read], list[catalogue.Refused]]:
    """All of them in one directory."""
    directory = tmp_path_factory.mktemp("flows")
    for path in (*BROKEN, *READY):
        shutil.copy(path, directory)
    return catalogue.read(directory)


def services(reads: list[catalogue.Read]) -> dict[str, set[str]]:
    """Those of the ready flows, and one for the broken ones."""
    asked = [step for one in reads if Path(one.name).name in {path.name for path in READY} for step in one.flow.steps]
    return {"acme": {"orders", *(getattr(one, one.kind) for one in asked if isinstance(one, Call | Recommend | Booked))}}


def intents(reads: list[catalogue.Read]) -> dict[str, set[str]]:
    ready = [one.flow for one in reads if Path(one.name).name in {path.name for path in READY}]
    return {"acme": {"opening-hours", "delivery-time", *(intent for one in ready for intent in one.start.intents)}}


def found(reads: list[catalogue.Read], name: str) -> Iterator[tuple[str, Complaint]]:
    """What is said of a file that could be read, as it is printed."""
    one = next(one for one in reads if Path(one.name).name == name)
    beside = [other.flow for other in reads if other.flow.tenant == one.flow.tenant]
    for wrong in complaints(one.flow, beside, TENANTS, Texts(), services(reads), intents(reads)):
        yield str(yamlfile.complain(one.name, one.source, wrong.place, wrong.said)), wrong


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_what_is_wrong_is_said(path, read):
    """Each thing that is wrong is said once, with file, line and what to do; nothing else is."""
    reads, refused = read
    unread = [line for one in refused if Path(one.name).name == path.name for line in one.reason.splitlines()]
    said = unread or [text for text, _ in found(reads, path.name)]
    wanted = [(int(line), part) for line, part in WANTED.findall(path.read_text(encoding="utf-8"))]
    missing = [(line, part) for line, part in wanted if not any(f"/{path.name}:{line}: " in one and part in one for one in said)]

    assert ([], len(wanted)) == (missing, len(said)), "\n".join(said)


def test_there_are_many():
    """The directory is what the documentation says it is."""
    assert 40 <= len(BROKEN)


def test_good_flows_stay(read):
    """Every file with an error is refused, none with but a warning, and none of the good ones."""
    reads, refused = read
    wrong = {path.name for path in BROKEN if any(Path(one.name).name == path.name for one in refused)}
    wrong |= {path.name for path in BROKEN if path.name not in wrong and any(one.level == "error" for _, one in found(reads, path.name))}
    told = catalogue.refusals(reads, TENANTS, Texts(), services=services(reads), intents=intents(reads))

    assert wrong == {Path(one.name).name for one in (*refused, *told)}


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_the_ready_flows_are_right(path, read):
    """Of the ready flows nothing is wrong, whatever stands beside them."""
    assert [] == [text for text, one in found(read[0], path.name) if one.level == "error"]


def test_a_file_that_is_no_text(tmp_path):
    """A file in another encoding, one of another name, and a directory in its place are said, too."""
    (tmp_path / "latin.yaml").write_bytes("flow: café".encode("latin-1"))
    (tmp_path / "other.yml").write_text("flow: other")
    (tmp_path / "folder.yaml").mkdir()
    reads, refused = catalogue.read(tmp_path)

    assert ([], ["other.yml", "folder.yaml", "latin.yaml"]) == (reads, [Path(one.name).name for one in refused])
    assert all(re.search(r"\.ya?ml:1: the file: (cannot be read|it is not read)", one.reason) for one in refused)


def test_a_deep_file(tmp_path):
    """A file that is nested without end is refused as any other."""
    (tmp_path / "deep.yaml").write_text("flow: " + "[" * 20_000)
    _, (refused,) = catalogue.read(tmp_path)

    assert "deep.yaml:1: not YAML: it is nested too deeply, or holds itself" in refused.reason
