"""`services.yaml`: the services that flows may ask over HTTP, each a tenant's own, with secrets by reference only. Without the file there are none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from yarl import URL

from parley import yamlfile
from parley.config import Reference, secret
from parley.yamlfile import ConfigError
from parley_router.durations import Duration
from parley_router.steps import Entry, Slug

LONGEST = timedelta(seconds=30)
"""What a customer may have to wait for one try."""


def _base(text: str) -> str:
    try:
        url = URL(text)
        fine = url.scheme in ("http", "https") and bool(url.raw_host) and not (url.query_string or url.fragment or url.user or url.password)
    except ValueError:
        fine = False
    if not fine:
        raise ValueError(f"an address is a scheme, a host and perhaps a path, as in https://orders.example/v1; not {text!r}")
    return text.rstrip("/")


def _bounded(length: timedelta) -> timedelta:
    if length > LONGEST:
        raise ValueError(f"a customer waits meanwhile: at most {LONGEST.total_seconds():.0f}s")
    return length


class ServiceEntry(Entry):
    """A service: whose, where, what goes along with each call, how long one try may take, and how many there are.

    - `headers`: values are references, `env:NAME` or `file:PATH`: they are secrets as a rule;
    - `timeout` (default 3s) is of one try; `tries` (default 3) counts the first;
    - `honours_keys`: the service knows a repeat by its `Idempotency-Key`. Else a POST or PATCH of which nobody knows whether it arrived is not made again.
    """

    tenant: Slug
    base_url: Annotated[str, AfterValidator(_base)]
    headers: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")], Reference] = {}
    timeout: Annotated[Duration, AfterValidator(_bounded)] = timedelta(seconds=3)
    tries: int = Field(default=3, ge=1, le=10)
    honours_keys: bool = False


class ServicesFile(Entry):
    """The file as it stands."""

    services: dict[Slug, ServiceEntry] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """A service, ready to be asked."""

    name: str
    tenant: str
    base_url: str
    headers: Mapping[str, str]
    timeout: float
    tries: int
    honours_keys: bool = False


Services = Mapping[str, Asked]
"""By `tenant/name`."""


def load(directory: Path, tenants: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Services:
    """The services that `directory` names for these tenants. Raises `ConfigError`: every complaint with file, line and reason."""
    path = directory / "services.yaml"
    if not path.exists():
        return {}
    entries, text = yamlfile.read(path, ServicesFile), path.read_text(encoding="utf-8")
    env = os.environ if environment is None else environment
    found: dict[str, Asked] = {}
    wrong: list[str] = []
    for name, entry in entries.services.items():
        headers, complaints = _headers(name, entry, directory, env)
        complaints += [(("services", name, "tenant"), said) for said in _stranger(entry.tenant, tenants)]
        wrong += [str(yamlfile.complain(str(path), text, place, said)) for place, said in complaints]
        found[f"{entry.tenant}/{name}"] = Asked(
            name, entry.tenant, entry.base_url, headers, entry.timeout.total_seconds(), entry.tries, entry.honours_keys
        )
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


def names(directory: Path) -> Mapping[str, frozenset[str]]:
    """The names of the services by tenant, for what checks flows and needs no secrets. Raises `ConfigError` for a file that cannot be read."""
    path = directory / "services.yaml"
    entries = yamlfile.read(path, ServicesFile).services if path.exists() else {}
    tenants = {one.tenant for one in entries.values()}
    return {tenant: frozenset(name for name, one in entries.items() if one.tenant == tenant) for tenant in tenants}


def _stranger(tenant: str, tenants: Mapping[str, object]) -> Iterator[str]:
    if tenant not in tenants:
        yield f"there is no tenant {tenant!r}; known: {', '.join(tenants)}"


def _headers(
    name: str, entry: ServiceEntry, directory: Path, environment: Mapping[str, str]
) -> tuple[dict[str, str], list[tuple[tuple[str, ...], str]]]:
    """The headers with their values, and what is wrong with them: never the value itself."""
    found: dict[str, str] = {}
    wrong: list[tuple[tuple[str, ...], str]] = []
    for header, reference in entry.headers.items():
        try:
            found[header] = secret(reference, directory, environment)
        except LookupError as error:
            wrong.append((("services", name, "headers", header), str(error.args[0])))
            continue
        if not re.fullmatch(r"[\x20-\x7e]+", found[header]):
            wrong.append((("services", name, "headers", header), f"the value of {reference} has characters that no header may have, or none at all"))
    return found, wrong
