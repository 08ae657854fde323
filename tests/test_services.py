"""`services.yaml`: whom flows may ask, checked with file and line; secrets never stand in it."""

from pathlib import Path

import pytest

from parley.yamlfile import ConfigError
from parley_router.services import Asked, load, names
from tests.conftest import CONFIG

TENANTS = {"acme": None}


def written(folder: Path, text: str) -> Path:
    (folder / "services.yaml").write_text(text, encoding="utf-8")
    return folder


def test_without_the_file_there_are_no_services(tmp_path):
    """Flows that ask nobody need none."""
    assert ({}, {}) == (load(tmp_path, TENANTS), names(tmp_path))


def test_a_service_is_read_with_its_defaults_and_its_secrets(tmp_path):
    """Three seconds, three tries; headers from the environment and from files."""
    (tmp_path / "token").write_text("Bearer x\n")
    headers = "{Authorization: 'file:token', X-Shop: 'env:SHOP'}"
    folder = written(tmp_path, f"services: {{orders: {{tenant: acme, base_url: https://orders.example/v1/, headers: {headers}}}}}")
    found = load(folder, TENANTS, {"SHOP": "tea"})

    assert {"acme/orders": Asked("orders", "acme", "https://orders.example/v1", {"Authorization": "Bearer x", "X-Shop": "tea"}, 3.0, 3)} == found
    assert {"acme": frozenset({"orders"})} == names(folder)


@pytest.mark.parametrize(
    "line, said",
    [
        ("base_url: orders.example", "4: services.orders.base_url: an address is a scheme, a host and perhaps a path"),
        ("base_url: 'https://name:word@orders.example'", "4: services.orders.base_url: an address is a scheme"),
        ("base_url: 'https://orders.example?key=1'", "4: services.orders.base_url: an address is a scheme"),
        ("base_url: https://o.example\n    timeout: 3", "5: services.orders.timeout: a length of time is written as 90s"),
        ("base_url: https://o.example\n    timeout: 2m", "5: services.orders.timeout: a customer waits meanwhile: at most 30s"),
        ("base_url: https://o.example\n    tries: 0", "5: services.orders.tries:"),
        ("base_url: https://o.example\n    retries: 2", "5: services.orders.retries: Extra inputs are not permitted"),
        (
            "base_url: https://o.example\n    headers: {Authorization: secret}",
            "5: services.orders.headers.Authorization: a credential is a reference",
        ),
        ("base_url: https://o.example\n    headers: {A: 'env:GONE'}", "5: services.orders.headers.A: the environment variable GONE is not set"),
        ("base_url: https://o.example\n    headers: {A: 'env:TWO'}", "5: services.orders.headers.A: the value of env:TWO has characters"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path, line, said):
    """And never with what a secret holds."""
    folder = written(tmp_path, f"services:\n  orders:\n    tenant: acme\n    {line}\n")
    with pytest.raises(ConfigError) as error:
        load(folder, TENANTS, {"TWO": "a\nsecret"})

    assert f"{folder}/services.yaml:{said}" in str(error.value)
    assert "secret" not in str(error.value)


def test_whose_service_it_is_must_be_known(tmp_path):
    """The names that there are stand in the complaint."""
    folder = written(tmp_path, "services:\n  orders:\n    tenant: acne\n    base_url: https://o.example\n")
    with pytest.raises(ConfigError, match="services.yaml:3: services.orders.tenant: there is no tenant 'acne'; known: acme"):
        load(folder, TENANTS)


def test_the_sample_tenant_has_services():
    """All of them at the provider twin."""
    assert {"http://127.0.0.1:9100"} == {one.base_url for one in load(CONFIG, TENANTS).values()}
