"""docs/flows.md: every key and every default of the language, and every example of it, run."""

import re
from enum import Enum
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from parley_router.conditions import Condition
from parley_router.flow import Agreeing, Dated, Flow, Start
from parley_router.steps import KINDS, Ask, Awaited, Booked, Call, Card, Consent, Do, Goal, Recommend, Say, Set, Span, Split, Tagged, Variant, Wait
from parley_router.tools import sources, testing

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
TENANTS = "tenants:\n  acme: {timezone: Asia/Seoul, languages: [ko, en]}\n"


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "flows" / "tests").mkdir(parents=True)
    (folder / "accounts.yaml").write_text(TENANTS)
    for name, text in EXAMPLES:
        (folder / name).write_text(text, encoding="utf-8")
    return sources.opened(folder / "flows")


def test_every_example_does_what_is_written_beside_it(flows):
    """Every flow of the page is checked, every conversation held."""
    results = list(testing.run(flows, testing.read(flows)))
    wrong = [testing.failure(one) for one in results if one.verdict.fault]

    assert [] == wrong
    assert len(results) > 30


def test_every_example_is_run():
    """No flow stands on the page without a file name, so none is passed over."""
    assert len(EXAMPLES) == len(re.findall(r"```yaml", PAGE)) == len({name for name, _ in EXAMPLES})


def test_every_kind_of_step_has_its_example(flows):
    """Each of them, in some flow of the page."""
    shown = {step.kind for flow in flows.book.shelves["acme"].flows.values() for step in flow.steps}

    assert set(KINDS) == shown


def rows(section: str) -> dict[str, str]:
    """The defaults by key, of the tables under a heading."""
    begin = re.search(rf"^#+ {re.escape(section)}$", PROSE, re.MULTILINE)
    assert begin, f"the page has no section {section!r}"
    level = begin.group().split()[0]
    rest = PROSE[begin.end() :]
    end = re.search(rf"^#{{1,{len(level)}}} ", rest, re.MULTILINE)
    found = {}
    for keys, default in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \| [^|]+ \|$", rest[: end.start()] if end else rest, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", keys), default)
    return found


SECTIONS: list[tuple[str, type[BaseModel], str]] = [
    ("A flow", Flow, ""), ("Start", Start, ""), ("say", Say, ""), ("ask", Ask, ""), ("set, tag, consent", Set, ""), ("set, tag, consent", Tagged, ""),
    ("set, tag, consent", Consent, ""), ("branch, go, end", KINDS["branch"], ""), ("branch, go, end", KINDS["go"], ""), ("branch, go, end", KINDS["end"], ""),
    ("wait", Wait, ""), ("wait", Span, "wait."), ("split, goal", Split, ""), ("split, goal", Goal, ""), ("call", Call, ""), ("recommend", Recommend, ""),
    ("book", Booked, ""), ("answer", KINDS["answer"], ""), ("escalate", KINDS["escalate"], ""), ("do", Do, ""), ("Conditions", Condition, ""),
]  # fmt: skip


@pytest.mark.parametrize(("section", "model", "before"), SECTIONS, ids=[f"{one.__name__}" for _, one, _ in SECTIONS])
def test_page_has_every_key_with_its_default(section, model, before):
    """A key that the model has is in the table of its section; a default that is a plain value stands there, too."""
    told = rows(section)
    keys = {before + (field.alias or name): field for name, field in model.model_fields.items() if name != "id"}

    assert [] == [key for key in keys if key not in told]
    plain = {
        key: written(field.default)
        for key, field in keys.items()
        if isinstance(field.default, bool | int | str) and field.default is not PydanticUndefined
    }
    assert {} == {key: (default, told[key]) for key, default in plain.items() if default not in told[key]}


@pytest.mark.parametrize("model", [Agreeing, Dated, Card, Awaited, Variant])
def test_page_names_the_keys_of_parts(model):
    """What stands inside of a key is named in the sentence that tells of it."""
    assert [] == [name for name in model.model_fields if f"`{name}`" not in PAGE]


def test_every_key_of_a_section_is_one():
    """The page tells of nothing that there is not."""
    known: dict[str, set[str]] = {}
    for section, model, before in SECTIONS:
        known.setdefault(section, set()).update(before + (field.alias or name) for name, field in model.model_fields.items())

    assert {} == {section: extra for section, keys in known.items() if (extra := set(rows(section)) - keys - {"wait"} - TEXT_NAMES)}


TEXT_NAMES: set[str] = set()


def written(default: object) -> str:
    """A default as the page writes it."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default.value if isinstance(default, Enum) else default}`"
