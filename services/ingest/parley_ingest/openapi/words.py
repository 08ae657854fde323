"""What all parts of the document are written with: statuses and what they mean here. Pure."""

from __future__ import annotations

from typing import Any

from parley import apidocs
from parley.apidocs import JSON as JSON
from parley.apidocs import PROBLEM as PROBLEM
from parley.apidocs import REFERENCE as REFERENCE
from parley.apidocs import answer as answer
from parley.apidocs import in_path as in_path
from parley.apidocs import problem as problem
from parley.apidocs import reference as reference

PAGE = "text/html"
SAID = {
    302: "To where the link leads.",
    400: "The body cannot be read; the detail says why.",
    401: "No valid signature, key or token. For a webhook without a detail.",
    403: "The key lacks the scope, the token of a handshake is wrong, or pages of this origin may not use the chat.",
    404: "There is no such account, link, visitor or page.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "None of the three forms of a CloudEvent.",
    422: "What is asked is wrong; the detail says which part and why. Of a batch nothing is taken.",
    429: "Over the limit of the account, the key, the visitor or the address; Retry-After says when to come again.",
    503: apidocs.NOT_NOW,
}


def problems(*statuses: int) -> dict[str, Any]:
    """Answers that are problem documents."""
    return apidocs.problems(SAID, *statuses)
