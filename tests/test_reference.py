"""The pages that are made from the catalogues: current, complete, and worth reading."""

from pathlib import Path

import pytest

from parley import referencedocs
from parley.metrics import Metrics
from parley.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"


def test_pages_are_those_of_the_code(tmp_path):
    """`make docs` was run after the last change of a setting or a metric."""
    made = {path.name: path.read_text(encoding="utf-8") for path in referencedocs.write(tmp_path)}

    assert {name: (DOCS / name).read_text(encoding="utf-8") for name in ("settings.md", "metrics.md")} == made


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_means(name):
    """In a sentence, with its full stop."""
    meaning = Settings.model_fields[name].description

    assert meaning and meaning.endswith(".")
    assert f"| `PARLEY_{name.upper()}` |" in referencedocs.settings_page()


def test_no_secret_has_a_default():
    """A key that everybody can read in the code is none."""
    secrets = [field for field in Settings.model_fields.values() if "Secret" in str(field.annotation)]

    assert [""] * len(secrets) == [field.default.get_secret_value() for field in secrets]
    assert len(secrets) >= 3


def test_every_metric_says_what_it_means():
    """Each series that a scrape of an idle process tells of stands on the page under the name that dashboards use."""
    page = referencedocs.metrics_page(Metrics())
    families = list(Metrics().registry.collect())

    assert len(families) == page.count("| `parley_")
    assert all(f"| {family.documentation} |" in page and family.documentation for family in families)
