"""ingest: everything that comes in. The doors (`edge`, `events`, `tracking`), what keeps it (`door`, `spool`), and the stages behind it (`normalise`, `links`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from parley.service import Context, Parts, Service
from parley_ingest import fetching, openapi
from parley_ingest.chat.routes import WebChat
from parley_ingest.chatlinks import ChatLinks
from parley_ingest.door import door
from parley_ingest.edge import ROUTE, Hooks, Limits
from parley_ingest.events import events
from parley_ingest.files import Files
from parley_ingest.hits import Due, Handed, Hits
from parley_ingest.keys import Fetch, Keys
from parley_ingest.normalise import Normalise
from parley_ingest.repeats import Forget
from parley_ingest.tracking import Links, Tracking
from parley_ingest.unsubscribe import Unsubscribe
from parley_ingest.verify import Verifications


async def build(context: Context, fetch: Fetch = fetching.fetch) -> Parts:
    """The routes and stages of ingest. `fetch` gets what providers keep for us at addresses of their own."""
    tracking, behind, limits = Tracking(context), door(context), Limits(context)
    chat = WebChat(context, behind, limits)
    leaving = Unsubscribe(tracking, behind, limits)
    hooks = Hooks(context, behind, limits, Keys(fetch))

    async def described(_: Request) -> Response:
        return JSONResponse(openapi.document())

    async def customer_events(request: Request) -> Response:
        return await events(request, context, behind, limits)

    return Parts(
        routes=[
            Route(ROUTE, hooks.hook, methods=["GET", "POST"]),
            Route("/events", customer_events, methods=["POST"]),
            Route("/l/{code}", tracking.follow, methods=["GET"]),
            Route("/o/{code}.gif", tracking.opened, methods=["GET"]),
            Route("/u/{code}", leaving.asked, methods=["GET"]),
            Route("/u/{code}", leaving.unsubscribe, methods=["POST"]),
            Route("/openapi.json", described, methods=["GET"]),
            *chat.routes,
            *Verifications(context, behind, limits).routes,
            *ChatLinks(context, limits).routes,
            *Files(context, limits).routes,
        ],
        stages=[Normalise(context.config), Links(), Hits(), Handed()],
        workers=[tracking, behind, *chat.workers, Forget(context), Due(context)],
        ways=hooks.ways(),
    )


SERVICE = Service("ingest", ("parley", "parley_ingest"), build, opens_without_bus=True)
