"""`GET /v1/media/{account}`: a file that a customer sent, fetched from where it stands at the moment when somebody wants to see it. Nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from parley import media
from parley.channels.shape import Account
from parley.channels.shape import Response as File
from parley.contracts import Media
from parley.outside import Refused
from parley.problem import Problem, authorise
from parley.service import Context
from parley_ingest.edge import Limits

AT_ONCE = 4
"""Files in memory at a time; who comes later waits."""
HEADERS = {
    "content-disposition": "attachment", "x-content-type-options": "nosniff", "content-security-policy": "sandbox; default-src 'none'", "cache-control": "no-store"
}  # fmt: skip
"""Whatever it is, a browser saves it and runs nothing of it."""


@dataclass
class Files:
    """The route. `fetch` gets the file."""

    context: Context
    limits: Limits
    fetch: Callable[[Media, Account], Awaitable[File]] = media.fetch
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @property
    def routes(self) -> list[Route]:
        return [Route("/v1/media/{account}", self.file, methods=["GET"])]

    async def file(self, request: Request) -> Response:
        """`?id=` or `?url=`, as `media` of the message has them. 404 for an account of another tenant and a file that is gone, 422 for what is not fetched,
        503 where the provider does not answer."""
        self.limits.address(request)
        key = authorise(request, self.context.config, "conversations:read")
        account = self.context.config.accounts.get(request.path_params["account"])
        if account is None or account.tenant != key.tenant:
            raise Problem(404, "There is no such account.")
        wanted = asked(request)
        try:
            async with self._room:
                found = await self.fetch(wanted, account)
        except FileNotFoundError as error:
            raise Problem(404, f"{error}.") from error
        except (Refused, ValueError) as error:
            raise Problem(422, f"{error}.") from error
        except OSError as error:
            raise Problem(503, f"The file is not to be had now: {error}.", headers={"Retry-After": "10"}) from error
        return Response(found.body, headers={**HEADERS, "content-type": found.headers["content-type"]})


def asked(request: Request) -> Media:
    """What of the query names the file. Raises 422."""
    found = {name: value for name, value in request.query_params.multi_items() if value}
    if len(request.query_params.multi_items()) != 1 or not found.keys() <= {"id", "url"} or not found:
        raise Problem(422, "Name the file by `id` or by `url`, as the message's media does.")
    return Media(kind="document", url=found.get("url"), provider_id=found.get("id"))
