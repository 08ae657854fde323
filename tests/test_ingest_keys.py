"""Keys that are fetched: once, for hours, never as often as somebody who forges would like; and subscriptions that are confirmed."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

import orjson
import pytest
import yaml
from aiohttp import web as http_server

from parley.outside import Bounds, origin
from parley.outside import fetch as outside
from parley_ingest import fetching, keys
from parley_ingest.app import SERVICE, build
from parley_ingest.keys import Keys, Unavailable
from tests.conftest import SAMPLES
from tests.ingesting import Ingest, running, write_accounts
from tests.test_samples import Sample, found

SIGNED = {one.name.partition("/")[2]: one for one in found(SAMPLES) if "cert_url" in one.about.get("secret", {})}
CERTIFICATE = SIGNED["delivery"].about["secret"]["cert_url"]
PEM = SIGNED["delivery"].about["secret"]["cert_pem"]


@dataclass
class Sns:
    """A server that stands for Amazon's: what is asked of an address there, it answers as told, and counts."""

    answers: dict[str, tuple[int, str]]
    asked: list[str] = field(default_factory=list)
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    base: str = ""

    async def fetch(self, url: str) -> bytes:
        """In the place of the way to Amazon; the rule which addresses may be asked is the adapter's, and untouched."""
        bounds = Bounds(fetching.LIMIT, trusted=frozenset({origin(self.base)}))
        return fetching.body(await outside(f"{self.base}?{urlencode({'url': url})}", bounds))

    async def serve(self, request: http_server.Request) -> http_server.Response:
        url = request.query["url"]
        self.asked.append(url)
        await self.slow.wait()
        status, text = self.answers.get(url, (404, ""))
        return http_server.Response(status=status, text=text, headers={"location": "http://127.0.0.1/"} if status == 302 else {})


@contextlib.asynccontextmanager
async def sns(answers: dict[str, tuple[int, str]] | None = None) -> AsyncIterator[Sns]:
    one = Sns({CERTIFICATE: (200, PEM)} if answers is None else answers)
    one.slow.set()
    application = http_server.Application()
    application.router.add_get("/", one.serve)
    runner = http_server.AppRunner(application)
    await runner.setup()
    site = http_server.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.base = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield one
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def mail(settings, directory, there: Sns) -> AsyncIterator[Ingest]:
    """An ingest with an account of SES, whose keys come from `there`."""
    write_accounts(directory)
    (directory / "topic").write_text(SIGNED["delivery"].about["secret"]["topic_arn"])
    path = directory / "accounts.yaml"
    document = yaml.safe_load(path.read_text())
    secrets = dict.fromkeys(("access_key_id", "secret_access_key", "region"), "file:unused") | {"topic_arn": "file:topic"}
    document["accounts"]["mail"] = {"tenant": "acme", "provider": "ses", "channel": "email", "sender": "a@acme.example", "credentials": secrets}
    path.write_text(yaml.safe_dump(document))
    service = dataclasses.replace(SERVICE, build=partial(build, fetch=there.fetch))
    async with running(settings.model_copy(update={"config": directory}), one=service) as ingest:
        yield ingest


async def status(ingest: Ingest, sample: Sample, **changes) -> int:
    return (await ingest.send(sample, "mail", **changes))[0]


@pytest.mark.stack
def test_the_key_is_fetched_once_and_what_it_signed_is_taken(settings, tmp_path, run):
    """All samples of SES: the good ones go in, the tampered one is 401, and Amazon was asked for the certificate a single time."""

    async def main():
        async with sns() as there, mail(settings, tmp_path, there) as ingest:
            good = [one for name, one in SIGNED.items() if name not in ("tampered_message", "subscription_confirmation")]
            answers = await asyncio.gather(*(status(ingest, one) for one in good if one.now == good[0].now))
            answers += [await status(ingest, one) for one in good if one.now != good[0].now]
            forged = await status(ingest, SIGNED["tampered_message"])
            return answers, forged, there.asked, len(await ingest.topic("parley.raw")), len(good)

    answers, forged, asked, taken, count = run(main())

    assert ({200}, 401, [CERTIFICATE]) == (set(answers), forged, asked)
    assert count == taken


@pytest.mark.stack
def test_a_subscription_is_confirmed_before_it_is_answered(settings, tmp_path, run):
    """Its address is fetched; while that fails, 503 makes Amazon ask again; a forged one fetches nothing."""
    sample = SIGNED["subscription_confirmation"]
    url = orjson.loads(sample.body)["SubscribeURL"]

    async def main():
        async with sns() as there, mail(settings, tmp_path, there) as ingest:
            forged = orjson.dumps({**orjson.loads(sample.body), "SubscribeURL": f"{url}x"})
            first = await status(ingest, sample, data=forged)
            failing = await status(ingest, sample)
            there.answers[url] = (200, "<ConfirmSubscriptionResponse/>")
            good = await status(ingest, sample)
            return [first, failing, good], there.asked

    answers, asked = run(main())

    assert [401, 503, 200] == answers
    assert [CERTIFICATE, url, url] == asked


@pytest.mark.stack
def test_a_key_that_is_not_to_be_had_gets_503(settings, tmp_path, run):
    """Amazon comes again for an hour; nothing goes in."""

    async def main():
        async with sns({}) as there, mail(settings, tmp_path, there) as ingest:
            answer, _, headers = await ingest.send(SIGNED["delivery"], "mail")
            return answer, headers["retry-after"], await ingest.topic("parley.raw")

    assert (503, "5", []) == run(main())


ADDRESSES = [f"{CERTIFICATE[:-4]}{number}.pem" for number in range(200)]


async def missed(one: Keys, url: str) -> bool:
    try:
        await one.get(url)
    except Unavailable:
        return True
    return False


def test_who_waits_for_the_same_key_waits_for_one_fetch(run):
    """A hundred requests at once, one question."""

    async def main():
        async with sns() as there:
            one = Keys(there.fetch)
            found = await asyncio.gather(*(one.get(CERTIFICATE) for _ in range(100)))
            return set(found), there.asked

    assert ({PEM}, [CERTIFICATE]) == run(main())


def test_who_forges_cannot_make_us_fetch_all_day(run):
    """Two hundred made-up addresses: a few at once, a handful in all, and a key that is known is given all the same."""

    async def main():
        async with sns() as there:
            one = Keys(there.fetch)
            await one.get(CERTIFICATE)
            there.slow.clear()
            at_once = [asyncio.create_task(missed(one, url)) for url in ADDRESSES]
            for _ in range(3):
                await asyncio.sleep(0)
            known, under_way = await one.get(CERTIFICATE), len(one._under_way)
            there.slow.set()
            await asyncio.gather(*at_once)
            later = [await missed(one, url) for url in ADDRESSES]
            return known, under_way, later, len(there.asked)

    known, under_way, later, asked = run(main())

    assert PEM == known
    assert keys.AT_ONCE == under_way
    assert all(later)
    assert asked <= 1 + keys.BURST


@pytest.mark.parametrize("answer", [(404, ""), (302, ""), (200, "<html>"), (200, "-----BEGIN " + "x" * fetching.LIMIT), (200, "-----BEGIN é")])
def test_what_is_no_key_is_none_and_not_asked_again_at_once(run, answer):
    """Not there, a redirect, a page, too large, no ASCII."""

    async def main():
        async with sns({CERTIFICATE: answer}) as there:
            one = Keys(there.fetch)
            return [await missed(one, CERTIFICATE) for _ in range(3)], len(there.asked)

    assert ([True] * 3, 1) == run(main())


def test_a_key_is_fetched_again_after_hours_and_the_old_one_is_better_than_none(run, monkeypatch):
    """When the time is over it is asked for anew; while that fails, it serves on."""
    monkeypatch.setattr("parley_ingest.keys.KEPT", 0.0)

    async def main():
        async with sns() as there:
            one = Keys(there.fetch)
            first = await one.get(CERTIFICATE)
            there.answers = {}
            return first, await one.get(CERTIFICATE), await one.get(CERTIFICATE), len(there.asked)

    assert (PEM, PEM, PEM, 2) == run(main())


@pytest.mark.parametrize("url, why", [
    ("http://sns.us-east-1.amazonaws.com/a.pem", "only https"), ("https://127.0.0.1/a.pem", "no public address"), ("https://[::1]/a.pem", "no public address"),
    ("https://2130706433/a.pem", "no public address"), ("https://localhost/a.pem", "no public address"), ("file:///etc/passwd", "no address"),
])  # fmt: skip
def test_nothing_within_is_fetched(run, url, why):
    """Only https, only names, only addresses that everybody can reach."""
    with pytest.raises((OSError, ValueError), match=why):
        run(fetching.fetch(url))
