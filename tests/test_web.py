"""Errors over HTTP: problem documents for callers, the reason for the log, and nothing twice."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from parley import web
from parley.metrics import Metrics


async def fail(request: Request) -> Response:
    raise KeyError("+821012345678")


async def half(request: Request) -> Response:
    async def parts():
        yield b"one"
        raise KeyError("in the middle")

    return StreamingResponse(parts())


@contextmanager
def served() -> Iterator[tuple[str, Metrics, asyncio.Runner]]:
    """An application with routes that fail, by real HTTP."""
    metrics = Metrics()
    application = web.application([Route("/fail/{who}", fail), Route("/half", half)], [], metrics, 1)
    with asyncio.Runner() as runner, web.bound("127.0.0.1", 0) as one:
        one.listen()
        task = runner.get_loop().create_task(web.serve(application, one))
        yield f"http://127.0.0.1:{one.getsockname()[1]}", metrics, runner
        task.cancel()
        runner.run(asyncio.wait([task], timeout=5))


async def get(url: str, method: str = "GET") -> tuple[int, dict, str]:
    async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
        return answer.status, await answer.json(content_type=None), answer.content_type


@pytest.mark.parametrize("method, path, status, title", [
    ("GET", "/nowhere", 404, "Not found"), ("POST", "/healthz", 405, "Method not allowed"), ("GET", "/fail/somebody", 500, "Internal error"),
])  # fmt: skip
def test_every_error_is_a_problem_document(method, path, status, title):
    """RFC 9457, also where Starlette or nobody answers."""
    with served() as (base, _, runner):
        answer = runner.run(get(base + path, method))

    assert (status, status, title, "application/problem+json") == (answer[0], answer[1]["status"], answer[1]["title"], answer[2])


def test_a_500_tells_the_caller_nothing_and_the_log_the_route(caplog):
    """The detail stays inside; the log has the template, never the path, and the error once."""
    caplog.set_level(logging.WARNING)
    with served() as (base, metrics, runner), capture_logs() as logs:
        _, problem, _ = runner.run(get(base + "/fail/somebody"))
    errors = [one for one in logs if one["log_level"] == "error"]

    assert "+8210" not in str(problem)
    assert [("request failed", "/fail/{who}")] == [(one["event"], one["route"]) for one in errors]
    assert 1 == metrics.requests.labels("/fail/{who}", "5xx")._value.get()
    assert [] == [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_an_answer_that_breaks_off_is_seen_as_broken():
    """A failure after the first bytes cannot become a 500; the connection ends, and the caller knows."""
    with served() as (base, _, runner), capture_logs(), pytest.raises(aiohttp.ClientPayloadError):
        runner.run(get(base + "/half"))
