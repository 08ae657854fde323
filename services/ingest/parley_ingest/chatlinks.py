"""Click-to-chat over HTTP: the link of an account with a keyword and a campaign, and its QR code as a picture.

The link is given to whoever has a key. The picture stands on public pages, where nobody can send a key, and takes some milliseconds to make: its address is
signed with the link, so that nobody else has pictures made here.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from parley import clicktochat, qr
from parley.channels.shape import Account
from parley.problem import Problem, authorise
from parley.service import Context
from parley_ingest.edge import Limits

KINDS = {"svg": "image/svg+xml", "png": "image/png"}
DAY = {"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}


@dataclass(frozen=True)
class ChatLinks:
    """`GET /v1/links/chat` and `GET /qr/{account}.svg|png`."""

    context: Context
    limits: Limits

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/v1/links/chat", self.link, methods=["GET"]),
            *(Route(f"/qr/{{account}}.{kind}", self.picture, methods=["GET"]) for kind in KINDS),
        ]

    async def link(self, request: Request) -> Response:
        """`?account=&keyword=&campaign=`: the link and the addresses of its pictures. 404 for an account of another tenant, 422 where there is no link."""
        self.limits.address(request)
        key = authorise(request, self.context.config, "events:write")
        name, keyword, campaign = asked(request, "account")
        account = self.context.config.accounts.get(name)
        if account is None or account.tenant != key.tenant:
            raise Problem(404, "There is no such account.")
        answer: dict[str, object] = {"link": _link(account, keyword, campaign)}
        if secret := self._secret():
            query = urlencode({"keyword": keyword, **({"campaign": campaign} if campaign else {}), "sig": signature(secret, name, keyword, campaign)})
            base = self.context.settings.links.rstrip("/")
            answer["qr"] = {kind: f"{base}/qr/{name}.{kind}?{query}" for kind in KINDS}
        return Response(orjson.dumps(answer), media_type="application/json")

    async def picture(self, request: Request) -> Response:
        """The QR code. 404 for whatever this installation has not signed: nobody learns which accounts there are."""
        self.limits.address(request)
        _, keyword, campaign = asked(request)
        name, secret = request.path_params["account"], self._secret()
        account = self.context.config.accounts.get(name)
        given = request.query_params.get("sig", "")
        right = hmac.compare_digest(given.encode(errors="replace"), signature(secret, name, keyword, campaign).encode()) if secret else False
        if account is None or not right:
            raise Problem(404, "There is no such picture. Its address comes with the link: GET /v1/links/chat.")
        kind = request.url.path.rpartition(".")[2]
        return Response(qr.picture(_link(account, keyword, campaign), kind), headers=DAY, media_type=KINDS[kind])

    def _secret(self) -> bytes:
        return self.context.settings.secret.get_secret_value().encode()


def asked(request: Request, *more: str) -> tuple[str, str, str | None]:
    """Account, keyword and campaign of the query. Raises 422 for what is missing, given twice or not known."""
    found = request.query_params
    wanted = {*more, "keyword", "campaign", *(() if more else ("sig",))}
    if strange := sorted({name for name, _ in found.multi_items()} - wanted):
        raise Problem(422, f"There is no parameter {strange[0]!r}; known: {', '.join(sorted(wanted))}.")
    for name in (*more, "keyword"):
        if len(found.getlist(name)) != 1:
            raise Problem(422, f"The parameter {name!r} is needed once.")
    if len(found.getlist("campaign")) > 1:
        raise Problem(422, "The parameter 'campaign' is taken once.")
    return found.get("account", ""), found["keyword"].strip(), found.get("campaign") or None


def signature(secret: bytes, account: str, keyword: str, campaign: str | None) -> str:
    """What says that a picture's address was given out here. Pure."""
    return hmac.digest(secret, "\x1f".join(("qr", account, keyword, campaign or "")).encode(errors="replace"), "sha256").hex()[:32]


def _link(account: Account, keyword: str, campaign: str | None) -> str:
    try:
        return clicktochat.link(account, keyword, campaign)
    except ValueError as error:
        raise Problem(422, str(error)) from error
