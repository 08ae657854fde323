"""Every provider has a page, and the accounts that pages show parse."""

import re
import textwrap
from pathlib import Path

import pytest

from parley.channels import PROVIDERS
from parley.config import load

PAGES = sorted((Path(__file__).parent.parent / "docs" / "channels").glob("*.md"))
BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def test_every_provider_has_a_page():
    """With steps, what is read and sent, and limits: a channel that nobody can set up is not done."""
    assert set(PROVIDERS) == {one.stem for one in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_the_example_of_a_page_parses(page, tmp_path):
    """Every block with accounts, with every credential that sending needs; a page has at least one."""
    examples = [text for one in BLOCK.findall(page.read_text(encoding="utf-8")) if "accounts:" in (text := textwrap.dedent(one))]
    accounts = {}
    for example in examples:
        (tmp_path / "accounts.yaml").write_text(example, encoding="utf-8")
        for name in re.findall(r"file:([\w./-]+)", example):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x", encoding="utf-8")
        accounts |= load(tmp_path, dict.fromkeys(re.findall(r"env:(\w+)", example), "x")).accounts

    assert accounts
