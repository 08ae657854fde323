"""One example more for an intent: put into its file beside its kin, everything else of the file as it was, comments too. Pure; `learn` writes the file."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from parley import yamlfile
from parley.yamlfile import ConfigError
from parley_router.language import plain
from parley_router.understand.intents import Intent

INDENT = 2


def learn(path: Path, intent: str, language: str, sentence: str) -> bool:
    """Adds `sentence` to the examples of `intent` in the file at `path`. False: it stood there already.

    Raises `ConfigError` when the file is broken, holds another intent, or would be broken by it; then it is as it was.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    after = learnt(text, str(path), intent, language, sentence)
    if after == text:
        return False
    fresh = path.with_suffix(".yaml.new")
    fresh.write_text(after, encoding="utf-8")
    fresh.replace(path)
    return True


def learnt(text: str, name: str, intent: str, language: str, sentence: str) -> str:
    """The text of the file with the sentence among the examples; the same text where it stands there already."""
    before = yamlfile.parse(text, Intent, name)
    sentence = " ".join(sentence.split())
    if before.intent != intent:
        raise yamlfile.complain(name, text, ("intent",), f"this file holds {before.intent!r}, not {intent!r}")
    if plain(sentence) in {plain(one) for one in before.examples.get(language, ())}:
        return text
    after = _put(text, language, json.dumps(sentence, ensure_ascii=False))
    if sentence not in yamlfile.parse(after, Intent, name).examples.get(language, ()):
        raise yamlfile.complain(name, text, ("examples",), "is written in a way that cannot be added to; write one example a line")
    return after


def _put(text: str, language: str, quoted: str) -> str:
    """Behind the last example of the language, in its own way of writing; a language that was not there comes behind the others."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "the file was read as a mapping"
    examples = next(value for key, value in root.value if key.value == "examples")
    row = next((value for key, value in examples.value if key.value == language), None)
    if row is None:
        return _language(text, examples, language, quoted)
    if row.flow_style:
        last = row.value[-1].end_mark.index if row.value else row.start_mark.index + 1
        return f"{text[:last]}{', ' if row.value else ''}{quoted}{text[last:]}"
    end = row.value[-1].end_mark.index
    line = text.find("\n", end)
    line = len(text) if line < 0 else line
    return f"{text[:line]}\n{' ' * row.start_mark.column}- {quoted}{text[line:]}"


def _language(text: str, examples: yaml.MappingNode, language: str, quoted: str) -> str:
    key, value = examples.value[-1]
    if examples.flow_style:
        end = value.end_mark.index
        return f"{text[:end]}, {language}: [{quoted}]{text[end:]}"
    end = value.value[-1].end_mark.index if not value.flow_style else value.end_mark.index
    line = text.find("\n", end)
    line = len(text) if line < 0 else line
    inner = " " * (key.start_mark.column + INDENT)
    return f"{text[:line]}\n{' ' * key.start_mark.column}{language}:\n{inner}- {quoted}{text[line:]}"
