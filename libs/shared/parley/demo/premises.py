"""What a run keeps in its folder: the configuration with this machine's addresses, credentials made once, the ledger, the number of the last run."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from parley import config
from parley.config import Config
from parley.local import StackError

SECRET = "PARLEY_SECRET"
HERE = "webchat"
"""The provider that ingest itself is: what is sent there stays on this machine as it is."""


@dataclass(frozen=True)
class Premises:
    """The folder, prepared. `variables` are the environment of the services: credentials under the names that the configuration refers to."""

    folder: Path
    config: Config
    variables: Mapping[str, str]
    tokens: Mapping[str, str]
    """API keys by their names in accounts.yaml."""

    @property
    def directory(self) -> Path:
        """The configuration directory of the services."""
        return self.folder / "config"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    def next_run(self) -> int:
        """The number of a new run over this data: its customers are others than those of every run before."""
        note = self.folder / "run"
        number = int(note.read_text()) + 1 if note.exists() else 1
        note.write_text(str(number))
        return number


def prepare(folder: Path, source: Path, ingest: str, twin: str, honours_keys: bool | None = None) -> Premises:
    """Copies the configuration in `source` with every account's provider replaced by the twin, so that nothing can leave this machine, and without night.

    Credentials are made at the first time and kept, so that a second run works on the same data. Raises `ConfigError` for what is wrong in `source`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = _document(source)
    kept = _Credentials(folder / "credentials.json")
    for name, place in _references(document):
        place[name] = [_made(kept, name, one) for one in place[name]] if isinstance(place[name], list) else _made(kept, name, place[name])
    for name, account in document.get("accounts", {}).items():
        own = account["provider"] == HERE
        account |= {"base_url": ingest if own else twin, "public_url": f"{ingest}/hooks/{name}"}
        if honours_keys is not None:
            account["honours_keys"] = honours_keys
    for tenant in document.get("tenants", {}).values():
        tenant["daytime"] = ["00:00", "00:00"]  # a demonstration is looked at whenever somebody is awake
    copy = folder / "config"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    (copy / "accounts.yaml").write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    _at_home(copy / "services.yaml", twin)
    variables = {**kept.saved(), SECRET: kept.value(SECRET, SECRET)}
    kept.save()
    tokens = {name: variables[one["token"].removeprefix("env:")] for name, one in document.get("keys", {}).items()}
    return Premises(folder, config.load(copy, variables), variables, tokens)


def _document(source: Path) -> dict[str, Any]:
    """accounts.yaml as it stands, checked by its own rules first: complaints name the file that people edit."""
    path = source / "accounts.yaml"
    if not path.is_file():
        raise StackError(f"{path} is not there: run it in the repository's folder, or set PARLEY_CONFIG to a directory with accounts.yaml and flows/")
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {one.removeprefix("env:"): "x" for key, place in _references(found) for one in _listed(place[key])}
    config.load(source, {**os.environ, **names})
    return found


def _at_home(path: Path, twin: str) -> None:
    """The services that flows ask, where there are some: all of them are the twin, which gets no header, for those are secrets."""
    if path.is_file():
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        services = {name: {**one, "base_url": twin, "headers": {}} for name, one in (found.get("services") or {}).items()}
        path.write_text(yaml.safe_dump({"services": services}, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _references(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place with a reference to a secret: its name there, and the mapping that holds it."""
    for account in (document.get("accounts") or {}).values():
        credentials = account.get("credentials") or {}
        yield from ((name, credentials) for name in list(credentials))
    yield from (("token", key) for key in (document.get("keys") or {}).values())


def _listed(reference: Any) -> list[str]:
    return [str(one) for one in reference] if isinstance(reference, list) else [str(reference)]


def _made(kept: _Credentials, kind: str, reference: str) -> str:
    """A reference to a secret that is made up, whatever the real one is: the twin shall see no real secret."""
    name = "".join(letter if letter.isalnum() else "_" for letter in reference.removeprefix("env:")).upper()
    kept.value(name, kind)
    return f"env:{name}"


class _Credentials:
    """Secrets that are made up once and stay, in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}

    def value(self, name: str, kind: str) -> str:
        return self._values.setdefault(name, _secret(kind))

    def saved(self) -> dict[str, str]:
        return dict(self._values)

    def save(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(orjson.dumps(self._values))


def _secret(kind: str) -> str:
    """A secret in the form that its provider gives it."""
    if kind == "account_sid":
        return "AC" + secrets.token_hex(16)
    if kind == "symmetric":
        return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    return secrets.token_urlsafe(24)
