"""The files of the FAQ: read, refused with file and line, and added to."""

import re

import pytest

from parley import yamlfile
from parley.yamlfile import ConfigError
from parley_router.understand.intents import Intent, read
from parley_router.understand.learning import learn, learnt
from tests.conftest import CONFIG

TENANTS = {"acme": ("ko", "en")}
FILE = """# Returns
intent: returns
tenant: acme
title: {ko: 반품, en: Returns}
examples:
  ko:
    - 반품하고 싶어요   # the plainest
    - 돌려보내고 싶어요
    - 반품 되나요?
  en:
    - I want to return this
    - Can I send it back?
    - How do returns work?
# what is answered
answer:
  ko: 7일 안에 됩니다.
  en: Within 7 days.
"""


def folder(tmp_path, **files):
    (tmp_path / "faq").mkdir()
    for name, text in files.items():
        (tmp_path / "faq" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_sample_tenants_faq_is_sound():
    """Every file of config/faq is, with at least twenty intents and five examples in each language."""
    found, wrong = read(CONFIG, TENANTS)

    assert [] == wrong
    assert len(found) >= 20
    assert [] == [one.intent.intent for one in found for language in ("ko", "en") if len(one.intent.examples[language]) < 5]


@pytest.mark.parametrize(
    "change, line, said",
    [
        (("tenant: acme", "tenant: acne"), 3, "there is no tenant 'acne'; known: acme"),
        (("    - Can I send it back?\n    - How do returns work?\n", ""), 10, "1 examples in 'en'; give at least 3"),
        (("en: Returns", "de: Rückgabe"), 4, "acme does not speak 'de'"),
        (("    - 돌려보내고", "    - 반품하고 싶어요!\n    - 돌려보내고"), 8, "'반품하고 싶어요!' stands twice"),
        (("  en: Within 7 days.\n", ""), 15, "the text is missing in en"),
        (("title:", "titel:"), 4, "titel: Extra inputs are not permitted"),
        (("examples:\n", "examples: [\n"), 7, "not YAML"),
        (("intent: returns", "intent: Returns!"), 2, "intent: String should match pattern"),
    ],
)
def test_a_broken_file_says_where_and_why(tmp_path, change, line, said):
    """File, line and reason; and nothing of it is used."""
    found, wrong = read(folder(tmp_path, returns=FILE.replace(*change)), TENANTS)

    assert [] == found
    assert any(re.search(rf"returns\.yaml:{line}: .*{re.escape(said)}", one) for one in wrong), wrong


def test_a_sentence_means_one_intent(tmp_path):
    """An example of two intents is refused in both files, which are named in each other's complaint."""
    other = FILE.replace("intent: returns", "intent: refund").replace("돌려보내고 싶어요", "환불해 주세요")

    found, wrong = read(folder(tmp_path, a=FILE, b=other), TENANTS)

    assert [] == found
    assert any("a.yaml:7" in one and "is an example of 'refund' too" in one for one in wrong)


def test_two_files_of_one_intent_are_refused(tmp_path):
    """A name that stands twice is said with the other file."""
    _, wrong = read(folder(tmp_path, a=FILE, b=FILE), TENANTS)

    assert any("b.yaml holds an intent 'returns' too" in one for one in wrong)


def test_learning_keeps_everything_else(tmp_path):
    """The sentence comes behind its kin; comments and order stay, and the file reads as before, with one example more."""
    path = folder(tmp_path, returns=FILE) / "faq/returns.yaml"

    assert learn(path, "returns", "ko", "이거  다시 가져가세요: 별로예요 # 진짜로")

    after = path.read_text(encoding="utf-8")
    assert FILE.replace("    - 반품 되나요?\n", '    - 반품 되나요?\n    - "이거 다시 가져가세요: 별로예요 # 진짜로"\n') == after
    assert [] == read(tmp_path, TENANTS)[1]


def test_what_is_known_is_not_learnt_again(tmp_path):
    """Case, width and closing marks do not make a new example."""
    path = folder(tmp_path, returns=FILE) / "faq/returns.yaml"

    assert not learn(path, "returns", "en", "CAN I SEND IT BACK")
    assert FILE == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "examples",
    ["examples: {ko: [가, 나]}", "examples:\n  ko: [가, 나]  # short", "examples:\n  ko: [\n    가,\n    나,\n  ]", "examples: {ko: ['가']}"],
)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_way_of_writing_a_list_can_be_added_to(examples, language):
    """Flow and block style, a language that is there and a new one."""
    text = f"intent: a\ntenant: acme\ntitle: {{ko: 가}}\n{examples}\n"

    after = yamlfile.parse(learnt(text, "a.yaml", "a", language, 'say "hi": ok?'), Intent, "a.yaml")

    assert 'say "hi": ok?' == after.examples[language][-1]


def test_learning_into_the_wrong_file_is_refused(tmp_path):
    """The file says which intent it holds, and stays as it was."""
    path = folder(tmp_path, returns=FILE) / "faq/returns.yaml"

    with pytest.raises(ConfigError, match=r"returns.yaml:2: intent: this file holds 'returns', not 'refund'"):
        learn(path, "refund", "ko", "환불")
    assert FILE == path.read_text(encoding="utf-8")
