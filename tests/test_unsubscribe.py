"""Unsubscribing with one click (RFC 8058), from the header of the mail to the consent that is gone; and complaints, which are one too."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import pytest
import yaml
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from parley import wire
from parley.channels.shape import Account, Opted
from parley.contracts import (
    Channel,
    ConsentChanged,
    ConsentState,
    Content,
    EngagementRecorded,
    Envelope,
    LinkMinted,
    MessageRequested,
    OptedOut,
    Purpose,
)  # fmt: skip
from parley.local import free_port
from parley.service import running as serving
from parley.step import Arrived, Place
from parley_ingest.normalise import Found, meaning
from parley_ingest.unsubscribe import ONE_CLICK, language
from parley_sender.app import SERVICE
from parley_sender.links import unsubscription
from tests.conftest import until
from tests.ingesting import NOW, Ingest, Shared, raw, running, write_accounts
from tests.test_ingest_door import kafka_away

FORM = {"content-type": "application/x-www-form-urlencoded"}
CLICK = b"List-Unsubscribe=One-Click"
PARTS = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
CONTACT, MESSAGE = UUID(int=7), UUID(int=8)


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("unsubscribe")) as one:
        yield one


@pytest.fixture
def ingest(shared) -> Ingest:
    return shared.ingest


async def minted(ingest: Ingest, kind: str = "unsubscribe") -> LinkMinted:
    """A link of a mail, as sender tells of it, once ingest knows it."""
    more = {"account": "acme-mail", "channel": "email", "address": "jo@example.com"} if kind == "unsubscribe" else {}
    url = "" if kind == "unsubscribe" else "https://shop.example"
    link = LinkMinted(contact_id=uuid4(), code=uuid4().hex[:12], url=url, message_id=uuid4(), kind=kind, at=NOW, **more)
    event = Envelope(id=str(uuid4()), source="parley/sender", time=NOW, tenant="acme", subject=str(link.contact_id), data=link)
    await ingest.one.context.bus.publish([wire.encode(event)])

    async def there() -> bool:
        return await ingest.one.context.pool.fetchval("SELECT true FROM links WHERE code = $1", link.code) is True

    await until(there, "the link to be learnt")
    return link


async def said(ingest: Ingest, contact: UUID, count: int) -> list[Envelope]:
    """What was said of the contact on the three topics, once it is `count` things."""
    found: list[Envelope] = []

    async def enough() -> bool:
        topics = [await ingest.topic(name) for name in (OptedOut.topic, ConsentChanged.topic, EngagementRecorded.topic)]
        found[:] = [one for topic in topics for one in topic if one.data.contact_id == contact]
        return len(found) >= count

    await until(enough, f"{count} events")
    return found


# --- at the door -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.stack
@pytest.mark.parametrize("body, headers", [(CLICK, FORM), (PARTS, {"content-type": "multipart/form-data; boundary=x"})])
def test_one_post_takes_a_person_off_marketing(shared, ingest, body, headers):
    """200 at once, without a cookie; the router and sender hear of it, and it is counted. Nothing but marketing by mail is revoked."""

    async def main():
        link = await minted(ingest)
        answer = await ingest.ask("POST", f"/u/{link.code}", data=body, headers=headers)
        return link, answer, await said(ingest, link.contact_id, 3)

    link, (status, _, headers), found = shared.run(main())
    at = found[0].data.at
    person = {"contact_id": link.contact_id, "channel": Channel.EMAIL, "address": "jo@example.com", "state": ConsentState.REVOKED, "at": at}

    assert (200, None) == (status, headers.get("set-cookie"))
    assert [
        OptedOut(account="acme-mail", purposes=(Purpose.MARKETING,), **person),
        ConsentChanged(purpose=Purpose.MARKETING, source="unsubscribe", **person),
        EngagementRecorded(
            contact_id=link.contact_id, message_id=link.message_id, kind="unsubscribed", by="human", reason="one_click", rules=1, at=at
        ),
    ] == [one.data for one in found]
    assert {"acme"} == {one.tenant for one in found}


@pytest.mark.stack
def test_again_is_the_same(shared, ingest):
    """A mailbox provider that repeats its POST, and a person who comes again, hear 200 and leave the same consent; a later wish counts as later."""

    async def main():
        link = await minted(ingest)
        answers = []
        for _ in range(3):
            answers.append((await ingest.ask("POST", f"/u/{link.code}", data=CLICK, headers=FORM))[0])
            ingest.clock[0] += timedelta(seconds=1)
        return answers, [one.data for one in await said(ingest, link.contact_id, 9)]

    answers, found = shared.run(main())
    consents = [one for one in found if isinstance(one, ConsentChanged)]

    assert [200] * 3 == answers
    assert {(Purpose.MARKETING, ConsentState.REVOKED)} == {(one.purpose, one.state) for one in consents}
    assert 3 == len({one.at for one in consents})


@pytest.mark.stack
@pytest.mark.parametrize("spoken, title, button", [("ko-KR,ko;q=0.9,en;q=0.8", "수신거부", "수신거부"), ("de, en;q=0.5", "Unsubscribe", "Unsubscribe"),
                                                   ("", "Unsubscribe", "Unsubscribe")])  # fmt: skip
def test_a_get_shows_a_button_and_changes_nothing(shared, ingest, spoken, title, button):
    """Scanners follow links: only the button's POST, which is the one of RFC 8058, unsubscribes."""

    async def main():
        link = await minted(ingest)
        asked = [await ingest.ask(method, f"/u/{link.code}", headers={"accept-language": spoken}) for method in ("GET", "HEAD")]
        hits = [one for one in await ingest.topic("parley.hits") if one.data.message_id == link.message_id]
        return [one[0] for one in asked], asked[0][1].decode(), hits

    statuses, page, hits = shared.run(main())

    assert ([200, 200], []) == (statuses, hits)
    assert f"<h1>{title}</h1>" in page and f"<button>{button}</button>" in page
    assert '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">' in page
    assert "jo@example.com" not in page


@pytest.mark.stack
def test_a_post_that_is_no_click_is_refused(shared, ingest):
    """400 without the words of RFC 8058, 413 for a large body, 404 for codes that are none or of links; and a link to unsubscribe leads nowhere else."""

    async def main():
        link, other = await minted(ingest), await minted(ingest, "link")
        wrong = [await ingest.ask("POST", f"/u/{link.code}", data=body, headers=FORM) for body in (b"", b"List-Unsubscribe=No", CLICK + b"x" * 5000)]
        lost = [await ingest.ask("POST", f"/u/{code}", data=CLICK, headers=FORM) for code in (other.code, "nobody123456", "..")]
        elsewhere = [await ingest.ask("GET", f"/{way}") for way in (f"l/{link.code}", f"u/{other.code}", f"o/{link.code}.gif")]
        hits = [one for one in await ingest.topic("parley.hits") if one.data.message_id in (link.message_id, other.message_id)]
        return [[one[0] for one in some] for some in (wrong, lost, elsewhere)], hits

    assert ([[400, 400, 413], [404, 404, 404], [404, 404, 200]], []) == shared.run(main())


@pytest.mark.stack
def test_a_wish_is_kept_while_kafka_is_away(settings, run, tmp_path):
    """200 means that it is on disk; it takes effect once the bus is back."""

    async def main():
        async with running(settings.model_copy(update={"config": write_accounts(tmp_path)})) as one:
            link = await minted(one)
            there = one.one.context.bus._settings
            await kafka_away(one, silent=False)
            status = (await one.ask("POST", f"/u/{link.code}", data=CLICK, headers=FORM))[0]
            one.one.context.bus._settings = there
            return status, len(await said(one, link.contact_id, 3))

    assert (200, 3) == run(main())


@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_the_words_are_found_and_nothing_else(before, after):
    """Anywhere in a form or in parts, in any case."""
    assert ONE_CLICK.search(before + CLICK.lower() + after)
    assert ONE_CLICK.search(before + PARTS + after)
    assert ONE_CLICK.search(before.replace(b"=", b"") + after.replace(b"=", b"").replace(b'"', b"")) is None


@pytest.mark.parametrize("header, spoken", [("ko", "ko"), ("en-GB", "en"), ("fr, ko;q=0.1", "ko"), ("fr", "en"), ("*", "en"), (",;", "en")])
def test_the_page_speaks_the_readers_language(header, spoken):
    """The first that is ours."""
    assert spoken == language(header)


# --- complaints ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason, kind", [("spam_complaint", "complained"), ("unsubscribe", "unsubscribed")])
def test_who_complains_to_the_provider_is_left_alone(reason, kind):
    """A complaint revokes every purpose on that channel at once, tells the router, and is counted at its message."""
    opted = Opted(Channel.EMAIL, "jo@example.com", ConsentState.REVOKED, tuple(Purpose), NOW, "e1", reason, MESSAGE)
    account = Account(name="acme-mail", tenant="acme", provider="sendgrid", channel=Channel.EMAIL, sender="hello@acme.example", credentials={})
    cause = Arrived(raw("acme-mail", b"{}"), Place("parley.raw", 0), 0, None)
    found = list(meaning(Found(cause, uuid4(), "acme", account, opted, NOW), CONTACT, {}))
    person = {"contact_id": CONTACT, "channel": Channel.EMAIL, "address": "jo@example.com", "state": ConsentState.REVOKED, "at": NOW}

    assert [
        OptedOut(account="acme-mail", purposes=tuple(Purpose), **person),
        *(ConsentChanged(purpose=purpose, source="provider", **person) for purpose in Purpose),
        EngagementRecorded(contact_id=CONTACT, message_id=MESSAGE, kind=kind, by="human", at=NOW),
    ] == found


# --- in the mail -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose, channel, there", [(Purpose.MARKETING, Channel.EMAIL, True), (Purpose.TRANSACTIONAL, Channel.EMAIL, False),
                                                     (Purpose.REPLY, Channel.EMAIL, False), (Purpose.MARKETING, Channel.SMS, False)])  # fmt: skip
def test_marketing_by_mail_alone_has_the_header(purpose, channel, there):
    """Its code is the same for a repeat, another for each message and key, and none of the links'."""
    one = unsubscription(purpose, channel, MESSAGE, b"key")

    assert there == (one is not None)
    assert one == unsubscription(purpose, channel, MESSAGE, b"key")
    assert not there or one != unsubscription(purpose, channel, CONTACT, b"key") != unsubscription(purpose, channel, CONTACT, b"other")


@contextlib.asynccontextmanager
async def mailgun() -> AsyncIterator[tuple[str, list[dict[str, list[str]]]]]:
    """A server that takes what is posted, and the forms that were."""
    posted: list[dict[str, list[str]]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(parse_qs((await request.read()).decode()) if "form" in request.content_type and "multipart" not in request.content_type
                      else {name: [str(value)] for name, value in (await request.post()).items()})  # fmt: skip
        return web.json_response({"id": f"<{uuid4()}@mg>", "message": "Queued."})

    application, port = web.Application(), free_port()
    application.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}", posted
    await runner.cleanup()


@pytest.mark.stack
def test_the_mail_carries_the_address_that_was_minted(settings, run, tmp_path):
    """From the request to the header at the provider: marketing has it, and ingest is told of that very code; an order's mail has none."""

    async def main():
        async with mailgun() as (url, posted):
            (tmp_path / "key").write_text("key")
            account = {"tenant": "acme", "provider": "mailgun", "channel": "email", "sender": "hello@acme.example", "rate": "100/s", "base_url": url,
                       "credentials": {"api_key": "file:key", "webhook_signing_key": "file:key"}}  # fmt: skip
            (tmp_path / "accounts.yaml").write_text(yaml.safe_dump({"tenants": {"acme": {}}, "accounts": {"acme-mail": account}}))
            ours = settings.model_copy(update={"config": tmp_path, "port": free_port(), "links": "https://l.acme.example/"})
            async with serving(SERVICE, ours) as one:
                now = datetime.now(UTC)
                person = {"contact_id": CONTACT, "channel": "email", "state": "granted", "source": "test", "at": now}
                mail = {"contact_id": CONTACT, "channels": ("email",), "addresses": {"email": "jo@example.com"}}
                asked = [ConsentChanged(purpose=purpose, **person) for purpose in Purpose]
                asked += [
                    MessageRequested(message_id=uuid4(), purpose=purpose, content=Content(text=purpose), **mail)
                    for purpose in ("transactional", "marketing")
                ]
                for data in asked:
                    event = Envelope(id=str(uuid4()), source="test", time=now, tenant="acme", started_at=now, data=data)
                    await one.context.bus.publish([wire.encode(event)])

                async def both() -> bool:
                    return len(posted) == 2

                await until(both, "both mails to be sent")
            async with running(settings.model_copy(update={"config": write_accounts(tmp_path)})) as ingest:
                links = [one.data for one in await ingest.topic(LinkMinted.topic)]
            return {one["text"][0]: one for one in posted}, links

    mails, (link,) = run(main())

    assert [f"<https://l.acme.example/u/{link.code}>"] == mails["marketing"]["h:List-Unsubscribe"]
    assert ["List-Unsubscribe=One-Click"] == mails["marketing"]["h:List-Unsubscribe-Post"]
    assert not [name for name in mails["transactional"] if "Unsubscribe" in name]
    assert ("unsubscribe", "", "acme-mail", "email", "jo@example.com") == (link.kind, link.url, link.account, link.channel, link.address)
