"""The events that Parley understands: what is right passes, what is wrong is named without what it holds, and the page says what the code does."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parley import contractdocs, eventdocs
from parley.customerevents import KNOWN, complaint

DOCS = Path(__file__).parents[1] / "docs"
RIGHT: dict[str, dict[str, Any]] = {
    "order.placed": {"order_id": "A1", "total": 42000, "currency": "KRW", "items": [{"title": "Tea", "quantity": 2, "price": "21000"}]},
    "order.shipped": {"order_id": 7, "tracking_url": "https://carrier.example/1", "carrier": "CJ"},
    "cart.abandoned": {"cart_id": "k7", "url": "https://shop.example/cart", "total": "9.90", "language": "ko"},
    "customer.updated": {"name": "민지", "tags": ["vip"], "language": "ko", "city": None},
    "product.back_in_stock": {"product_id": 1, "price": 9.5, "own": {"anything": []}},
    "com.example.thing": {"order_id": [], "total": "much"},
    "customer.erased": {},
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name):
    """Nothing has to be there, more may be, and an unknown name means whatever it wants."""
    assert None is complaint(name, RIGHT[name])


@pytest.mark.parametrize(
    "name, properties, field",
    [
        ("order.placed", {"order_id": ["secret"]}, "order_id"),
        ("order.placed", {"order_id": True}, "order_id"),
        ("order.placed", {"total": "secret"}, "total"),
        ("order.placed", {"total": True}, "total"),
        ("order.placed", {"total": float("nan")}, "total"),
        ("order.placed", {"total": 10**15}, "total"),
        ("order.placed", {"currency": "secret"}, "currency"),
        ("order.placed", {"items": [{"quantity": "secret"}]}, "items.0.quantity"),
        ("order.shipped", {"tracking_url": "javascript:secret"}, "tracking_url"),
        ("customer.updated", {"language": "secret"}, "language"),
        ("customer.updated", {"tags": "secret"}, "tags"),
        ("contacts.merged", {"other": {}}, "other"),
    ],
)
def test_what_is_wrong_is_named_without_what_it_holds(name, properties, field):
    """Where, and why; never the value, for it may be an address."""
    said = complaint(name, properties)

    assert said is not None and said.startswith(f"properties of {name}: {field}")
    assert "secret" not in said


def test_the_page_is_that_of_the_code():
    """`make docs` was run after the last change."""
    assert eventdocs.page() == (DOCS / "events.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KNOWN)
def test_every_event_says_what_it_means(name):
    """On the page, each property with a meaning of its own."""
    model = KNOWN[name]

    assert f"### `{name}`\n\n{' '.join(model.__doc__.split())}\n" in eventdocs.page()
    assert all((about.description or "").endswith(".") for about in model.model_fields.values())


@pytest.mark.parametrize("name", sorted(RIGHT.keys() & KNOWN.keys()))
def test_the_contract_agrees_with_the_check(name):
    """The schema in the AsyncAPI document takes what the check takes."""
    schema = yaml.safe_load((DOCS / "contract" / "asyncapi.yaml").read_text())["components"]["schemas"][name]

    jsonschema.validate({key: value for key, value in RIGHT[name].items() if value is not None}, schema, jsonschema.Draft202012Validator)


def test_the_contract_holds_every_known_event():
    assert set(KNOWN) == set(contractdocs.asyncapi()["components"]["schemas"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({field for model in KNOWN.values() for field in model.model_fields})


@given(st.sampled_from(sorted(KNOWN)), st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), json_values, max_size=5))
def test_any_properties_are_judged(name, properties):
    """Whatever is sent there is a sentence or none."""
    assert complaint(name, properties) is None or complaint(name, properties).startswith(f"properties of {name}: ")
