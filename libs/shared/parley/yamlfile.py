"""YAML files read into models, with every complaint at its line: `accounts.yaml:12: accounts.acme-sms.rate: ...`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
LARGEST = 100_000
"""Parts (keys, values, lists) of a file, each counted as often as aliases repeat it."""


QUOTES = "; a text with one of , ? : # [ { * & in it stands in quotes"
"""Mostly that is what is wrong with a file that somebody wrote by hand."""


class ConfigError(ValueError):
    """A configuration file that cannot be used: file, line, place and reason, one complaint a line."""


def read(path: Path, model: type[M]) -> M:
    """The file as `model`. Raises `ConfigError` naming file, line and reason; nothing of a broken file is used."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; PARLEY_CONFIG names the directory it should be in") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return parse(text, model, str(path))


def parse(text: str, model: type[M], name: str) -> M:
    """As `read`, from text; `name` stands in the complaints."""
    try:
        value = _value(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = QUOTES if isinstance(error, yaml.parser.ParserError | yaml.scanner.ScannerError) else ""
        raise ConfigError(f"{name}:{mark.line + 1 if mark else 1}: not YAML: {error.problem or error.context}{hint}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a day that there is not, a number without end
        raise ConfigError(f"{name}:1: not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}:1: not YAML: it is nested too deeply, or holds itself") from error
    try:
        return model.model_validate(value if value is not None else {})
    except ValidationError as error:
        node = yaml.compose(text, Loader=_Loader)
        raise ConfigError("\n".join(_complaint(item, node, name, model) for item in error.errors(include_url=False, include_input=False))) from error


def complain(name: str, text: str, place: Sequence[str | int], reason: str) -> ConfigError:
    """A complaint about `place` (keys and indexes from the top) in a file that parsed: for rules that a model alone cannot see."""
    return ConfigError(f"{name}:{_line(yaml.compose(text, Loader=_Loader), place)}: {_dotted(place)}: {reason}")


class Lines:
    """On which line what stands in a file that parsed: for those that ask often, or perhaps never."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _node(self) -> yaml.Node | None:
        return yaml.compose(self._text, Loader=_Loader)

    def of(self, place: Sequence[str | int]) -> int:
        """The line of the deepest part of `place` (keys and indexes from the top) that the file has."""
        return _line(self._node, place)


def _complaint(item: Any, node: yaml.Node | None, name: str, model: type[BaseModel]) -> str:
    said = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        alike = get_close_matches(str(item["loc"][-1]), _keys(model), 1)
        said += f"; did you mean `{alike[0]}`?" if alike else "; there is no such key here, leave it out"
    return f"{name}:{_line(node, item['loc'])}: {_dotted(item['loc'])}: {said}"


def _keys(model: type[BaseModel]) -> list[str]:
    """Every key that a file of the model may have anywhere."""
    schema = model.model_json_schema()
    return sorted({key for part in (schema, *schema.get("$defs", {}).values()) for key in part.get("properties", ())})


def _value(text: str) -> Any:
    """What the text says. It is read once, and measured before anything is made of it."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        _measured(node)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _measured(root: yaml.Node | None) -> None:
    """Raises `ValueError` for a file that its aliases make endless: each place that an alias stands for is read again."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            children = node.value if isinstance(node, yaml.SequenceNode) else ()
            if isinstance(node, yaml.MappingNode):
                children = [one for pair in node.value for one in pair]
            sizes[id(node)] = LARGEST  # until it is known: whatever holds itself is too large
            sizes[id(node)] = 1 + sum(map(size, children))
        return sizes[id(node)]

    if root is not None and size(root) > LARGEST:
        raise ValueError(f"with what its aliases stand for it has more than {LARGEST} parts")


def _dotted(place: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in place) or "the file"


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """The line of the deepest part of `place` that the file has."""
    line = node.start_mark.line if node else 0
    for part in place:
        found = _child(node, part)
        if found is None:
            continue  # a tag of a union, or a missing key: the parent's line is the nearest
        line, node = found
    return line + 1


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None


class _Loader(yaml.SafeLoader):
    """Refuses a key given twice (YAML keeps the last without a word) and reads on/off/yes/no and dates as the words they are."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is a word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key `{key.value}` stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_WORDS = {"tag:yaml.org,2002:bool": "tTfF", "tag:yaml.org,2002:timestamp": ""}
"""Tags that are read as the words they are, unless they begin with one of these: a model says itself what is a date."""
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _WORDS or first in _WORDS[tag]]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
