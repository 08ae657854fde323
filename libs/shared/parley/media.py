"""Files that customers sent, fetched when somebody wants to see them: by the provider's id or by address, step by step as the provider asks, each step
behind the guard of `outside`."""

from __future__ import annotations

from parley import outside
from parley.channels import PROVIDERS
from parley.channels.shape import Account, HttpRequest, Keeper, Response
from parley.contracts import Media
from parley.outside import Bounds, Lookup, Refused

LIMIT = 26_214_400
"""Bytes of a file. WhatsApp's documents may be larger, and are then left where they are."""
WITHIN = 20.0
STEPS = 3
"""Requests for one file at most: where it stands, and the file."""
TYPES = (
    "image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "audio/", "video/", "application/pdf", "application/ogg", "text/plain", "text/vcard",
    "application/msword", "application/vnd.ms-", "application/vnd.openxmlformats-", "application/octet-stream",
)  # fmt: skip
"""No SVG and no HTML: they are programs."""


async def fetch(media: Media, account: Account, addresses: Lookup = outside.lookup) -> Response:
    """The file, with its `content-type`. Raises `Refused` for what is not fetched, FileNotFoundError where the provider has it no more, OSError where it
    is not to be had now."""
    keeper = PROVIDERS[account.provider]
    bounds = Bounds(LIMIT, WITHIN, trusted=frozenset({outside.origin(account.base_url)}) if account.base_url else frozenset())
    request: HttpRequest | None = _first(media, account)
    for _ in range(STEPS):
        assert request is not None
        answer = await outside.fetch(request.url, bounds, method=request.method, headers=request.headers, addresses=addresses)
        request = keeper.media_next(answer, account) if isinstance(keeper, Keeper) else None
        if request is None:
            return _file(answer)
    raise Refused(f"the provider sends us on more than {STEPS} times")


def _first(media: Media, account: Account) -> HttpRequest:
    keeper = PROVIDERS[account.provider]
    found = keeper.media_request(media, account) if isinstance(keeper, Keeper) else None
    if found is None and media.url:
        found = HttpRequest("GET", media.url, {}, b"")
    if found is None:
        raise Refused(f"{account.provider} gives no files by their id")
    return found


def _file(answer: Response) -> Response:
    if answer.status in (404, 410):
        raise FileNotFoundError(f"the provider does not have the file: HTTP {answer.status}")
    if answer.status != 200:
        raise OSError(f"HTTP {answer.status}")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith(TYPES):
        raise Refused(f"the content type {kind[:100]!r} is not one that is fetched")
    return Response(200, {"content-type": kind}, answer.body)
