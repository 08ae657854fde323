"""`parley flow check` and `parley flow learn`: what is wrong is printed by file and line, errors apart from warnings; what was said becomes an example."""

from datetime import date

import pytest

from parley.yamlfile import ConfigError
from parley_router.state import Wanted
from parley_router.tools import sources
from tests.test_cli import parley
from tests.test_flow_test import EXAMPLES, ROOT, write

FAQ = """\
intent: tea-wanted
tenant: acme
title: {en: Tea}
examples:
  en:
    - I would like tea   # as most say it
    - Tea would be nice
    - A pot of tea
"""
BESIDE = {**dict(EXAMPLES), "faq/tea-wanted.yaml": FAQ, "services.yaml": "services: {orders: {tenant: acme, base_url: https://orders.example}}"}


def test_right_flows(tmp_path):
    """Nothing but warnings: exit status 0."""
    done = parley("flow", "check", write(tmp_path, BESIDE))

    assert 0 == done.returncode, done.stdout
    assert "5 flows read, 0 errors" in done.stdout and "errors:" not in done.stdout


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("flows/tea.yaml", ("go: black", "go: blakc"), "tea.yaml:6: steps.0: leads to the step 'blakc'"),
        ("flows/parcel.yaml", ("call: orders", "call: ordres"), "parcel.yaml:9: steps.1"),
        ("flows/tea.yaml", ("tea-wanted", "tea-wantd"), "tea.yaml:4: start.intents"),
        ("flows/tea.yaml", ("steps:", "stpes:"), "tea.yaml:5: stpes: Extra inputs are not permitted"),
        ("faq/tea-wanted.yaml", ("    - A pot of tea\n", ""), "tea-wanted.yaml:5: examples.en: 2 examples"),
        ("faq/tea-wanted.yaml", ("title", "titel"), "tea-wanted.yaml:3: titel"),
    ],
)
def test_wrong_flows(tmp_path, name, change, said):
    """A step, a service, an intent that there is not, a typing mistake: also what only the files beside the flows tell."""
    place = write(tmp_path, {**BESIDE, name: BESIDE[name].replace(*change, 1)})
    found = [one.said for one in sources.checked(place, sources.around(place))[2] if one.level == "error"]

    assert any(f"/{said}" in one for one in found), found
    with pytest.raises(ConfigError):
        sources.opened(place)


def test_errors_and_warnings_stand_apart(tmp_path):
    """Errors first, with exit status 1."""
    long = BESIDE["flows/tea.yaml"].replace("Strong. Noted.", "Strong. " * 30).replace("go: later", "go: latre")
    done = parley("flow", "check", write(tmp_path, {**BESIDE, "flows/tea.yaml": long}))
    errors, _, warnings = done.stdout.partition("\nwarnings:\n")

    assert 1 == done.returncode
    assert errors.startswith("errors:\n") and "tea.yaml:17" in errors
    assert "tea.yaml:19" in warnings and "segments" in warnings


def test_config_stands_elsewhere(tmp_path):
    """The directory of accounts.yaml can be named."""
    files = {name: text for name, text in BESIDE.items() if name.startswith("flows/")}
    place = write(tmp_path / "repository", files)
    write(tmp_path / "configuration", {name: text for name, text in BESIDE.items() if not name.startswith("flows/")})

    assert (2, 0) == (
        parley("flow", "check", place).returncode, parley("flow", "check", place, "--config", tmp_path / "configuration").returncode,
    )  # fmt: skip


def test_learning_a_sentence(tmp_path):
    """One line more in the file, everything else as it was; a second time changes nothing."""
    write(tmp_path, BESIDE)
    file = tmp_path / "faq" / "tea-wanted.yaml"
    first, second = (parley("flow", "learn", file, "tea-wanted", "en", "a cuppa, please").stdout for _ in range(2))
    wrong = parley("flow", "learn", file, "coffee", "en", "a cuppa, please")

    assert ("now an example of tea-wanted", "was an example already of tea-wanted") == (first.strip()[-28:], second.strip()[-36:])
    assert {*FAQ.splitlines()} < {*file.read_text().splitlines()} and 1 + len(FAQ.splitlines()) == len(file.read_text().splitlines())
    assert 2 == wrong.returncode and "holds 'tea-wanted', not 'coffee'" in wrong.stderr


def test_messages_are_really_read_where_there_is_an_faq():
    """In tests that do not say what a message means, and while it is played: an example of the FAQ means what it stands for."""
    faq = sources.around(ROOT / "config" / "flows").faqs["acme"]
    found = [
        faq.read(Wanted(kind="read", text=text, language="en"), date(2026, 11, 25)).body
        for text in ("Please cancel my order", "I want the moon, blue")
    ]

    assert ("sure", ["cancel-order"]) == (found[0]["verdict"], found[0]["intents"])
    assert found[1]["verdict"] != "sure"
