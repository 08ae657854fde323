"""The screen for people: a page and what it loads. Pure."""

from __future__ import annotations

from typing import Any

from parley.apidocs import answer
from parley_sender.screens import FILES


def paths() -> dict[str, Any]:
    """Each file of the page."""
    return {path: {"get": _file(path, name, media)} for path, (name, media) in FILES.items()}


def _file(path: str, name: str, media: str) -> dict[str, Any]:
    summary = "The screen for people; it asks this API with a key that is typed in." if path == "/" else f"A part of the screen: {name}."
    said = {"200": answer("The file.", media, {"type": "string"}), "304": {"description": "As If-None-Match says."}}
    return {"operationId": f"screen_{name.replace('.', '_')}", "summary": summary, "responses": said}
