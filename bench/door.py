"""ingest's door alone: the service as it always runs, without the stages behind the door. `python -m bench.door`, with the settings of a service."""

from __future__ import annotations

import dataclasses

import uvloop

from parley import log, service, settings
from parley.service import Context, Parts
from parley_ingest.app import SERVICE


async def build(context: Context) -> Parts:
    """Its routes, and nobody who reads what they write."""
    parts = await SERVICE.build(context)
    return Parts(routes=parts.routes, ways=parts.ways)


def main() -> None:
    found = settings.read()
    log.configure(found, SERVICE.name)
    uvloop.run(service.run(dataclasses.replace(SERVICE, build=build), found))


if __name__ == "__main__":
    main()
