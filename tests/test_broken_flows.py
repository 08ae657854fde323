"""Broken flows: each file of flows/broken says in its first lines what is wrong with it, where, and that is all that is found; good flows beside them stay."""

import copy
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley import yamlfile
from parley.templates import Texts
from parley_router import catalogue
from parley_router.checks import Complaint, complaints, every
from parley_router.flow import Flow
from parley_router.steps import Booked, Call, Recommend

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


PARSED = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in READY]
FLOWS = [Flow.model_validate(one) for one in PARSED]
WORDS = st.sampled_from([
    None, True, 0, -1, 10**20, 1.5, "", "x", "{{", "{{ slot.x }}", "{% for i in (1..9) %}", "flow/human", "flow/welcome", "stop", "가", [], {}, ["a"], {"a": "b"},
    {"en": "a"},
])  # fmt: skip


def places(value: object, place: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Everywhere in a value."""
    yield place
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(one, (*place, key))


def read_again(made: object) -> tuple[Flow | None, list[str]]:
    try:
        return yamlfile.parse(yaml.safe_dump(made, allow_unicode=True), Flow, "made.yaml"), []
    except yamlfile.ConfigError as error:
        return None, str(error).splitlines()


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_else_is_raised(data):
    """Whatever stands wherever in a flow, it is read and checked, or refused with its file and a line; nothing else ever happens."""
    made = copy.deepcopy(data.draw(st.sampled_from(PARSED), label="flow"))
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from([one for one in places(made) if one]), label="place")
        found = made
        for key in above:
            found = found[key]
        if data.draw(st.booleans(), label="dropped"):
            del found[last]
        else:
            found[last] = copy.deepcopy(data.draw(WORDS, label="word"))
    flow, refused = read_again(made)
    beside = [one for one in FLOWS if flow is not None and one.flow != flow.flow]
    said = [wrong.said for _, wrong in every([flow] if flow is not None else [], TENANTS, Texts(), {"acme": set()}, {"acme": set()}, beside)]

    assert (flow is None) == bool(refused) and all(said)
    assert all(re.match(r"made\.yaml:\d+: .+: .+", line) for line in refused)
