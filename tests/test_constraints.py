"""`constraints.txt` names the version of everything that is installed for Parley: two clones a month apart get the same."""

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> dict[str, str]:
    """The installed version of everything that a distribution needs on this platform, through and through."""
    found: dict[str, str] = {}
    if (name, extras) in seen:
        return found
    seen.add((name, extras))
    for text in metadata.requires(name) or ():
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            inner = canonicalize_name(one.name)
            found |= {inner: metadata.version(inner)} | needed(inner, frozenset(one.extras), seen)
    return found


def test_every_package_is_pinned_to_the_version_that_is_tested():
    """A dependency that is added, or moves another one, is named here before a fresh clone trips over it."""
    installed = needed("parley", frozenset({"local", "dev"}), set())
    pins = pinned()

    assert {} == {name: version for name, version in installed.items() if pins.get(name) != version}
    assert len(installed) > 50
