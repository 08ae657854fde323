"""The provider twin: it refuses what a provider would refuse, signs as a provider signs, and its ledger forgets nothing."""

import ast
import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator

import parley.twin
from parley.channels import PROVIDERS as CHANNEL_FILES
from parley.channels import shape
from parley.contracts import Channel, Choice, Content, ReceiptStatus
from parley.twin import Account, Behaviour, Say, TwinError, TwinOptions, read_accounts, running_twin
from parley.twin.behaviour import Throttle, draws, fate, pause, receipts
from parley.twin.ledger import Book, Ledger, Said, line_of
from parley.twin.twilio import segments

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SID = "AC0123456789abcdef0123456789abcdef"
CUSTOMER = "+821012345678"
CREDENTIALS = {
    "twilio": {"account_sid": SID, "auth_token": "token"},
    "meta": {"access_token": "bearer", "app_secret": "app secret"},
    "plain": {"symmetric": SECRET},
}
SENDERS = {"twilio": "+15005550006", "meta": "106540352242922", "plain": "acme"}
CHANNELS = {"twilio": "sms", "meta": "whatsapp", "plain": "inapp"}
PROVIDERS = tuple(SENDERS)
rates = st.floats(0, 1)
behaviours = st.builds(
    Behaviour, drop_before=rates, fail_rate=rates, hang_after_accepting=rates, latency_ms=st.floats(0, 1000), latency_p99_ms=st.none() | st.floats(0, 5000),
    reorder_receipts=rates, repeat_receipts=rates, read_rate=rates, undelivered_rate=rates,
)  # fmt: skip


def account(provider, hook=None):
    return Account(
        name=f"a-{provider}",
        provider=provider,
        channel=CHANNELS[provider],
        sender=SENDERS[provider],
        credentials=CREDENTIALS[provider],
        hook_url=hook,
    )


class Receiver:
    """The business's end of the webhooks: keeps what came, answers what it is told to, 204 when it is told nothing."""

    def __init__(self):
        self.posts, self.statuses, self.url = asyncio.Queue(), [], ""

    async def answer(self, request):
        self.posts.put_nowait((str(request.url), dict(request.headers), (await request.read()).decode()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)


class Business:
    """A twin, a receiver and a client: what is sent to the provider goes through `send`."""

    def __init__(self, twin, receiver, client):
        self.twin, self.receiver, self.client = twin, receiver, client

    async def send(self, provider, text="hi", to=CUSTOMER, reference="m1", key=None, **changed):
        """Status and body of the answer; None when the connection was closed instead."""
        path, headers, body = request_of(provider, text, to, reference, self.receiver.url, **changed)
        keys = {"Idempotency-Key": key} if key else {}
        try:
            async with self.client.post(self.twin.url + path, data=body, headers={**headers, **keys}) as response:
                return response.status, await response.read()
        except aiohttp.ClientError:
            return None

    async def control(self, method, path, body=None):
        async with self.client.request(method, self.twin.url + path, json=body) as response:
            return response.status, orjson.loads(await response.read())

    @property
    def requests(self):
        return [one for one in self.twin.ledger.book.entries if one.kind == "request"]

    @property
    def verdicts(self):
        return [one.verdict for one in self.requests]


def request_of(provider, text, to, reference, hook, token=None, sender=None, extra=None):
    if provider == "twilio":
        basic = base64.b64encode(f"{SID}:{token or 'token'}".encode()).decode()
        form = {"To": to, "From": sender or SENDERS["twilio"], "Body": text, "StatusCallback": f"{hook}?m={reference}", **(extra or {})}
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        return f"/2010-04-01/Accounts/{SID}/Messages.json", headers, urlencode(form).encode()
    if provider == "meta":
        body = {"messaging_product": "whatsapp", "to": to[1:], "type": "text", "text": {"body": text}, "biz_opaque_callback_data": reference}
        headers = {"Authorization": f"Bearer {token or 'bearer'}", "Content-Type": "application/json"}
        return f"/v25.0/{sender or SENDERS['meta']}/messages", headers, orjson.dumps(body | (extra or {}))
    body = orjson.dumps({"reference": reference, "to": to, "from": sender or "acme", "text": text, "media": [], "choices": [], **(extra or {})})
    now = datetime.now(UTC)
    signature = Webhook(token or SECRET).sign("w1", now, body.decode())
    return "/messages", {"webhook-id": "w1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}, body


@contextlib.asynccontextmanager
async def business(folder, honour_keys=True, deadline=300.0, **behaviour):
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/a"
    options = TwinOptions(
        ledger=folder / "ledger.jsonl", port=0, seed=7, honour_keys=honour_keys, deadline=deadline, accounts=[account(one, receiver.url) for one in PROVIDERS],
        behaviours={"*": Behaviour(**{"receipts": False, **behaviour})},
    )  # fmt: skip
    try:
        async with running_twin(options) as twin, aiohttp.ClientSession() as client:
            yield Business(twin, receiver, client)
    finally:
        await runner.cleanup()


@pytest.fixture
def play(tmp_path, run):
    """Runs a scene with a fresh business and gives what it returns."""

    def play(scene, **settings):
        async def main():
            async with asyncio.timeout(20), business(tmp_path, **settings) as one:
                return await scene(one)

        return run(main())

    return play


# --- checks and answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider, status", [("twilio", 201), ("meta", 200), ("plain", 202)])
def test_a_good_message_is_taken(play, provider, status):
    """It is answered as the provider answers, and the customer has it, with our reference beside it."""

    async def scene(one):
        answer = await one.send(provider)
        found = one.twin.inboxes.of(CUSTOMER)
        return answer[0], [(entry.text, entry.reference, entry.verdict) for entry in found], found[0].provider_id.encode() in answer[1]

    assert (status, [("hi", "m1", "accepted")], True) == play(scene)


@pytest.mark.parametrize(
    "provider, token, code", [("twilio", "wrong", b"20003"), ("meta", "wrong", b"190"), ("plain", "whsec_AAAA", b"unauthorised")]
)
def test_wrong_credentials_are_refused_as_the_provider_does(play, provider, token, code):
    async def scene(one):
        status, body = await one.send(provider, token=token)
        return status, code in body, one.verdicts, one.twin.inboxes.of(CUSTOMER)

    assert (401, True, ["refused"], ()) == play(scene)


@pytest.mark.parametrize(
    "provider, changed, code",
    [
        ("twilio", {"to": "12345"}, 21211),
        ("twilio", {"to": ""}, 21604),
        ("twilio", {"text": ""}, 21602),
        ("twilio", {"text": "x" * 1601}, 21617),
        ("twilio", {"sender": "+15005550001"}, 21606),
        ("twilio", {"to": "+15005550006"}, 21266),
        ("twilio", {"to": "whatsapp:+821012345678"}, 21910),
        ("twilio", {"extra": {"StatusCallback": "nowhere"}}, 21609),
        ("twilio", {"extra": {"MediaUrl": "nowhere"}}, 21620),
        ("meta", {"text": ""}, 131008),
        ("meta", {"text": "x" * 4097}, 131009),
        ("meta", {"to": "+12x"}, 131009),
        ("meta", {"sender": "1"}, 100),
        ("meta", {"extra": {"messaging_product": "sms"}}, 100),
        ("meta", {"extra": {"biz_opaque_callback_data": "x" * 513}}, 131009),
        ("meta", {"extra": {"type": "carrier pigeon"}}, 131008),
        ("plain", {"to": ""}, "invalid"),
        ("plain", {"text": ""}, "invalid"),
        ("plain", {"sender": "nobody"}, "unauthorised"),
        ("plain", {"extra": {"choices": [{"id": "x"}]}}, "invalid"),
    ],
)
def test_a_bad_message_is_refused_with_the_providers_code(play, provider, changed, code):
    async def scene(one):
        status, body = await one.send(provider, **changed)
        found = orjson.loads(body)
        return 400 <= status < 500, found.get("error", found)["code"], one.verdicts, one.twin.ledger.book.inboxes

    assert (True, code, ["refused"], {}) == play(scene)


def test_a_body_of_1600_characters_is_taken(play):
    async def scene(one):
        return (await one.send("twilio", text="x" * 1600))[0]

    assert play(scene) == 201


@pytest.mark.parametrize(
    "titles, status",
    [(["1", "2", "3"], 200), (["1", "2", "3", "4"], 400), (["x" * 20], 200), (["x" * 21], 400), (["alike", "alike"], 400), ([], 400)],
)
def test_whatsapp_takes_three_buttons_of_twenty_characters_with_titles_that_differ(play, titles, status):
    buttons = [{"type": "reply", "reply": {"id": str(n), "title": title}} for n, title in enumerate(titles)]
    interactive = {"type": "button", "body": {"text": "Which?"}, "action": {"buttons": buttons}}

    async def scene(one):
        return (await one.send("meta", extra={"type": "interactive", "interactive": interactive}))[0]

    assert status == play(scene)


@pytest.mark.parametrize("text, count", [("x" * 160, 1), ("x" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("차" * 70, 1), ("차" * 71, 2), ("", 1)])
def test_segments_are_counted_as_twilio_counts(text, count):
    assert count == segments(text)


def test_nothing_at_the_door_breaks_it(play):
    """Bodies that are no form, no JSON, no UTF-8 or no object are refused, on every path."""
    bodies = (b"", b"\xff\xfe", b"[]", b"null", b'"x"', b"{", b"a=b&&c", b'{"from":"acme"}', b'{"messaging_product":"whatsapp","type":["x"],"to":7}')

    async def scene(one):
        found = set()
        for provider in PROVIDERS:
            path, headers, _ = request_of(provider, "hi", CUSTOMER, "m1", one.receiver.url)
            for body in bodies:
                async with one.client.post(one.twin.url + path, data=body, headers=headers) as response:
                    found.add(response.status // 100)
        return found, set(one.verdicts)

    assert ({4}, {"refused"}) == play(scene)


# --- keys ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_honoured_key_gives_no_second_message(play, provider):
    """The repeat gets the first answer and is written down as replayed."""

    async def scene(one):
        first, second = await one.send(provider, key="k"), await one.send(provider, key="k")
        return first == second, one.verdicts, len(one.twin.inboxes.of(CUSTOMER))

    assert (True, ["accepted", "replayed"], 1) == play(scene)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_honoured_keys_a_repeat_is_a_second_message(play, provider):
    """The summary says so."""

    async def scene(one):
        await one.send(provider, key="k")
        await one.send(provider, key="k")
        summary = one.twin.ledger.book.summary()["total"]
        return one.verdicts, summary["messages"], summary["sent_twice"]

    assert (["accepted", "accepted"], 2, 1) == play(scene, honour_keys=False)


def test_a_key_with_another_message_is_refused(play):
    async def scene(one):
        await one.send("plain", key="k")
        return (await one.send("plain", text="other", key="k"))[0], one.verdicts

    assert (422, ["accepted", "refused"]) == play(scene)


def test_a_key_that_hung_is_replayed_by_the_next_attempt(play):
    """The message was taken at first, so the second attempt only learns its id."""

    async def scene(one):
        hung = await one.send("plain", key="k")
        one.twin.behave({"*": Behaviour(receipts=False)})
        status, body = await one.send("plain", key="k")
        return hung, status, orjson.loads(body)["id"] == one.requests[0].provider_id, one.verdicts

    assert (None, 202, True, ["hung", "replayed"]) == play(scene, hang_after_accepting=1)


# --- behaviour -----------------------------------------------------------------------------------------------------------------------


def test_a_dropped_call_is_not_taken(play):
    async def scene(one):
        return await one.send("meta"), one.verdicts, one.twin.inboxes.of(CUSTOMER)

    assert (None, ["failed"], ()) == play(scene, drop_before=1)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_failed_call_is_answered_500_and_not_taken(play, provider):
    async def scene(one):
        return (await one.send(provider))[0], one.verdicts, one.twin.inboxes.of(CUSTOMER)

    assert (500, ["failed"], ()) == play(scene, fail_rate=1)


@pytest.mark.parametrize("provider, code", [("twilio", b"20429"), ("meta", b"130429"), ("plain", b"throttled")])
def test_a_throttled_call_is_told_to_come_later(play, provider, code):
    async def scene(one):
        await one.send(provider)
        status, body = await one.send(provider, reference="m2")
        return status in (400, 429), code in body, one.verdicts

    assert (True, True, ["accepted", "throttled"]) == play(scene, throttle=0.01)


@given(st.floats(0.5, 50), st.lists(st.floats(0, 0.3), min_size=1, max_size=200))
def test_a_throttle_never_lets_more_than_its_rate_through(rate, gaps):
    """In any window of the throttle's length there are at most so many takes as it has room."""
    throttle, now, taken = Throttle(rate), 1000.0, []
    for gap in gaps:
        now += gap
        if not throttle.take(now):
            taken.append(now)
    count = max(1, int(rate))

    assert all(later - earlier >= count / rate - 1e-6 for earlier, later in zip(taken, taken[count:], strict=False))


@given(behaviours, st.integers(), st.text(max_size=9), st.integers(1, 9))
def test_a_fate_belongs_to_seed_account_message_and_attempt(behaviour, seed, subject, attempt):
    assert fate(behaviour, seed, "a", subject, attempt) == fate(behaviour, seed, "a", subject, attempt)


def test_other_seeds_give_other_fates():
    half = Behaviour(fail_rate=0.5)

    assert len({tuple(fate(half, seed, "a", str(n), 1).fail for n in range(40)) for seed in range(20)}) == 20


def test_rates_are_kept():
    """Of 4,000 attempts at a rate of 0.3 the share is within five standard errors."""
    share = sum(fate(Behaviour(fail_rate=0.3), 1, "a", str(n), 1).fail for n in range(4000)) / 4000

    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 4000) ** 0.5


@given(st.text(max_size=20), st.integers())
def test_draws_lie_between_0_and_1(subject, seed):
    assert all(0 <= draw < 1 for draw in draws(subject, seed))


def test_latencies_have_their_median_and_99th_percentile():
    slow = Behaviour(latency_ms=40, latency_p99_ms=400)
    found = sorted(fate(slow, 3, "a", str(n), 1).latency * 1000 for n in range(4000))

    assert (True, True) == (36 < found[2000] < 44, 300 < found[3960] < 530)


@given(behaviours, st.integers(), st.text(max_size=9), st.booleans())
def test_receipts_are_those_of_one_message(behaviour, seed, subject, reads):
    """Sent first, then what came of it, in order or in reverse; read only after delivered; times grow."""
    due = receipts(behaviour, seed, "a", subject, reads)
    statuses = [one.status for one in due]
    stories = [["sent", "failed"], ["sent", "delivered"], ["sent", "delivered", "read"]][: 3 if reads else 2]

    assert (statuses in stories or statuses[::-1] in stories) and [one.after for one in due] == sorted(one.after for one in due)


@given(st.integers(1, 10**6))
def test_pauses_grow_to_two_seconds_and_stay(tries):
    assert 0.2 <= pause(tries) <= pause(tries + 1) <= 2.0


def test_what_an_account_sets_goes_before_what_all_have(play):
    async def scene(one):
        await one.control("PUT", "/control/behaviour", {"*": {"fail_rate": 1, "receipts": False}, "a-plain": {"fail_rate": 0}})
        return (await one.send("plain"))[0], (await one.send("meta"))[0], one.twin.behaviour("a-plain").receipts

    assert (202, 500, False) == play(scene)


# --- receipts and customers' messages ------------------------------------------------------------------------------------------------


def test_twilios_receipts_carry_its_signature(play):
    """Its own kit accepts them, over the whole URL with our reference in the query."""

    async def scene(one):
        await one.send("twilio", reference="ref-1")
        posts = [await one.receiver.posts.get() for _ in range(2)]
        valid = [RequestValidator("token").validate(url, dict(parse_qsl(body)), headers["X-Twilio-Signature"]) for url, headers, body in posts]
        return valid, [dict(parse_qsl(body))["MessageStatus"] for _, _, body in posts], [url.endswith("?m=ref-1") for url, _, _ in posts]

    assert ([True] * 2, ["sent", "delivered"], [True] * 2) == play(scene, receipts=True, receipt_delay_ms=1)


def test_whatsapps_receipts_echo_our_reference(play):
    async def scene(one):
        await one.send("meta", reference="ref-1")
        posts = [await one.receiver.posts.get() for _ in range(3)]
        found = [orjson.loads(body)["entry"][0]["changes"][0]["value"]["statuses"][0] for _, _, body in posts]
        return [(status["status"], status["biz_opaque_callback_data"]) for status in found]

    assert [("sent", "ref-1"), ("delivered", "ref-1"), ("read", "ref-1")] == play(scene, receipts=True, receipt_delay_ms=1, read_rate=1)


def test_receipts_come_twice_and_in_reverse_when_told(play):
    async def scene(one):
        await one.send("plain")
        return [orjson.loads((await one.receiver.posts.get())[2])["data"]["status"] for _ in range(4)]

    assert ["delivered"] * 2 + ["sent"] * 2 == play(scene, receipts=True, receipt_delay_ms=1, read_rate=0, reorder_receipts=1, repeat_receipts=1)


def test_a_message_that_hung_has_receipts_too(play):
    """The customer has it, and that is what the business can learn."""

    async def scene(one):
        await one.send("plain", reference="ref-1")
        return orjson.loads((await one.receiver.posts.get())[2])["data"]["reference"]

    assert "ref-1" == play(scene, receipts=True, receipt_delay_ms=1, hang_after_accepting=1)


def test_a_customers_sms_carries_twilios_signature(play):
    async def scene(one):
        said = one.twin.say(Say(account="a-twilio", sender=CUSTOMER, text="안녕 & hello+"))
        url, headers, body = await one.receiver.posts.get()
        form = dict(parse_qsl(body, keep_blank_values=True))
        return RequestValidator("token").validate(url, form, headers["X-Twilio-Signature"]), form["Body"], form["MessageSid"] == said.provider_id

    assert (True, "안녕 & hello+", True) == play(scene)


def test_a_customers_plain_message_carries_the_standard_signature(play):
    async def scene(one):
        one.twin.say(Say(account="a-plain", sender="u1", text="차"))
        _, headers, body = await one.receiver.posts.get()
        return Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})["data"]["text"]

    assert "차" == play(scene)


def test_a_customers_whatsapp_message_is_ascii_and_signed(play):
    """Meta escapes all that is not ASCII, and slashes; the signature is over those bytes."""

    async def scene(one):
        one.twin.say(Say(account="a-meta", sender=CUSTOMER, text="차/茶"))
        _, headers, body = await one.receiver.posts.get()
        expected = hmac.new(b"app secret", body.encode(), hashlib.sha256).hexdigest()
        message = orjson.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]
        return body.isascii() and "\\/" in body, headers["X-Hub-Signature-256"] == f"sha256={expected}", message["from"], message["text"]["body"]

    assert (True, True, CUSTOMER[1:], "차/茶") == play(scene)


def test_a_tap_answers_in_the_form_in_which_the_choice_was_shown(play):
    """A row of a list comes back as list_reply."""
    rows = [{"id": "r1", "title": "Green"}, {"id": "r2", "title": "Black"}]
    interactive = {"type": "list", "body": {"text": "Which?"}, "action": {"button": "Choose", "sections": [{"rows": rows}]}}

    async def scene(one):
        await one.send("meta", extra={"type": "interactive", "interactive": interactive})
        await one.control("POST", "/control/say", {"account": "a-meta", "from": CUSTOMER, "choice": rows[1]})
        body = orjson.loads((await one.receiver.posts.get())[2])
        return body["entry"][0]["changes"][0]["value"]["messages"][0]["interactive"]

    assert {"type": "list_reply", "list_reply": rows[1]} == play(scene)


def test_a_customers_message_is_tried_again_until_it_is_taken(play):
    """Three posts, one message; the ledger has when it was said, first posted and taken."""

    async def scene(one):
        one.receiver.statuses = [503, 429]
        status, heard = await one.control("POST", "/control/say", {"account": "a-plain", "from": "u1", "text": "hi", "wait": True})
        return status, heard["outcome"], heard["posts"], heard["said_at"] <= heard["first_at"] <= heard["at"]

    assert (200, "acknowledged", 3, True) == play(scene)


def test_a_refusal_is_not_tried_again(play):
    async def scene(one):
        one.receiver.statuses = [401]
        heard = await one.twin.heard(one.twin.say(Say(account="a-plain", sender="u1", text="hi")))
        return heard.outcome, heard.posts, heard.status

    assert ("refused", 1, 401) == play(scene)


def test_a_message_for_a_receiver_that_stays_away_is_given_up(play):
    """After the deadline, here of none; it may be said again by its id, and is the same message then."""

    async def scene(one):
        one.receiver.statuses = [503]
        say = Say(account="a-plain", sender="u1", text="hi", id="7")
        first = (await one.twin.heard(one.twin.say(say))).outcome
        return first, (await one.twin.heard(one.twin.say(say))).outcome, len(one.twin.ledger.book.said)

    assert ("given_up", "acknowledged", 1) == play(scene, deadline=0)


def test_a_customers_messages_come_in_order(play):
    """The second waits while the first is tried again."""

    async def scene(one):
        one.receiver.statuses = [503]
        for text in ("one", "two"):
            one.twin.say(Say(account="a-plain", sender="u1", text=text))
        return [orjson.loads((await one.receiver.posts.get())[2])["data"]["text"] for _ in range(3)]

    assert ["one", "one", "two"] == play(scene)


def test_the_same_id_is_the_same_message(play):
    async def scene(one):
        first, second = (one.twin.say(Say(account="a-meta", sender=CUSTOMER, text="hi", id="7")) for _ in range(2))
        await one.twin.heard(first)
        return first == second, one.receiver.posts.qsize()

    assert (True, 1) == play(scene)


def test_a_repeated_message_keeps_its_id(play):
    async def scene(one):
        one.twin.say(Say(account="a-plain", sender="u1", text="hi"))
        posts = [await one.receiver.posts.get() for _ in range(2)]
        return len({headers["webhook-id"] for _, headers, _ in posts})

    assert 1 == play(scene, repeat_messages=1)


# --- meeting the channels ------------------------------------------------------------------------------------------------------------


def ours(provider, base_url):
    credentials = {name: (value,) for name, value in CREDENTIALS[provider].items()}
    return shape.Account(f"a-{provider}", "acme", provider, Channel(CHANNELS[provider]), SENDERS[provider], credentials, base_url=base_url)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("choices", [0, 3, 8])
def test_what_our_channels_build_the_provider_takes(play, provider, choices):
    """With the text and our message id, and an answer that our side reads as accepted under the provider's id."""
    content = Content(text="Which one?", choices=tuple(Choice(id=f"c{n}", title=f"Tea {n}") for n in range(choices)))
    message = shape.Outgoing(UUID(int=7), CUSTOMER, content, datetime.now(UTC), "http://127.0.0.1:1/hooks/a")

    async def scene(one):
        for request in CHANNEL_FILES[provider].build(message, ours(provider, one.twin.url)):
            async with one.client.post(request.url, data=request.body, headers=request.headers) as response:
                outcome = CHANNEL_FILES[provider].interpret(shape.Response(response.status, dict(response.headers), await response.read()))
        last = one.twin.inboxes.of(CUSTOMER)[-1]
        return outcome.kind, outcome.provider_id == last.provider_id, last.reference, last.text.startswith("Which one?")

    assert ("accepted", True, str(UUID(int=7)), True) == play(scene)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_the_provider_posts_our_channels_read(play, provider):
    """Signature and message."""

    async def scene(one):
        said = one.twin.say(Say(account=f"a-{provider}", sender=CUSTOMER, text="안녕"))
        url, headers, body = await one.receiver.posts.get()
        request = shape.Request("POST", url, {name.lower(): value for name, value in headers.items()}, body.encode())
        CHANNEL_FILES[provider].verify(request, ours(provider, None), datetime.now(UTC))
        return said, CHANNEL_FILES[provider].parse(request, ours(provider, None))

    said, items = play(scene)

    assert [(CUSTOMER, said.provider_id, "안녕")] == [(one.address, one.provider_id, one.text) for one in items]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_providers_receipts_name_our_message(play, provider):
    async def scene(one):
        await one.send(provider, reference=str(UUID(int=7)))
        url, headers, body = await one.receiver.posts.get()
        request = shape.Request("POST", url, {name.lower(): value for name, value in headers.items()}, body.encode())
        CHANNEL_FILES[provider].verify(request, ours(provider, None), datetime.now(UTC))
        return [(one.status, one.message_id) for one in CHANNEL_FILES[provider].parse(request, ours(provider, None))]

    assert [(ReceiptStatus.SENT, UUID(int=7))] == play(scene, receipts=True, receipt_delay_ms=1)


# --- control API ---------------------------------------------------------------------------------------------------------------------


def test_the_inbox_waits_for_the_next_message(play):
    async def scene(one):
        waiting = asyncio.create_task(one.control("GET", f"/control/inbox?address={CUSTOMER}&after=0&wait=10"))
        await one.control("GET", "/healthz")  # by now the long poll is there
        await one.send("plain")
        _, found = await waiting
        return [one["text"] for one in found["messages"]], found["next"]

    assert (["hi"], 1) == play(scene)


def test_a_subscription_hears_every_message(play):
    async def scene(one):
        with one.twin.inboxes.subscription() as arrivals:
            await one.send("twilio")
            return (await arrivals.get()).recipient

    assert CUSTOMER == play(scene)


def test_the_ledger_is_given_whole_or_in_part(play):
    async def scene(one):
        await one.send("plain")
        await one.send("meta")
        _, chosen = await one.control("GET", "/ledger?account=a-meta&since=0")
        async with one.client.get(one.twin.url + "/ledger?format=jsonl") as response:
            lines = (await response.read()).splitlines()
        return [entry["account"] for entry in chosen["entries"]], [orjson.loads(line)["n"] for line in lines]

    assert (["a-meta"], [1, 2]) == play(scene)


def test_an_account_may_come_later_and_shows_no_secret(play):
    async def scene(one):
        body = {"provider": "plain", "channel": "inapp", "sender": "b", "credentials": {"symmetric": SECRET}}
        status, shown = await one.control("PUT", "/control/accounts/b", body)
        return status, SECRET in str(shown), (await one.send("plain", sender="b"))[0]

    assert (200, False, 202) == play(scene)


@pytest.mark.parametrize(
    "method, path, body, word",
    [
        ("PUT", "/control/accounts/b", {"provider": "twilio", "sender": "x", "credentials": {}}, "auth_token"),
        ("PUT", "/control/accounts/b", {"provider": "plain", "sender": "x", "credentials": {"symmetric": "?"}}, "base64"),
        ("PUT", "/control/behaviour", {"*": {"fail_rate": 2}}, "fail_rate"),
        ("PUT", "/control/behaviour", {"*": {"fial_rate": 1}}, "fial_rate"),
        ("POST", "/control/say", {"account": "nobody", "from": "u", "text": "hi"}, "a-plain"),
        ("POST", "/control/say", {"account": "a-plain", "from": "u"}, "text"),
        ("POST", "/control/say", ["hi"], "object"),
        ("GET", "/ledger?kind=x", None, "kind"),
        ("GET", "/ledger?since=yesterday", None, "since"),
        ("GET", "/control/inbox", None, "address"),
        ("GET", "/control/inbox?address=u&after=nan", None, "after"),
    ],
)
def test_a_mistake_is_said_in_words(play, method, path, body, word):
    async def scene(one):
        status, found = await one.control(method, path, body)
        return status, word in found["error"]

    assert (400, True) == play(scene)


def test_what_is_not_there_is_404(play):
    async def scene(one):
        return (await one.control("GET", "/nothing"))[0]

    assert 404 == play(scene)


# --- the ledger ----------------------------------------------------------------------------------------------------------------------


def test_the_ledger_survives_a_restart(play):
    """Inboxes, counters and keys are as before: a key is honoured across it."""

    async def first(one):
        await one.send("plain", key="k")
        return one.twin.ledger.book.summary()

    async def second(one):
        before = one.twin.ledger.book.summary()
        await one.send("plain", key="k")
        return before, one.verdicts, [entry.text for entry in one.twin.inboxes.of(CUSTOMER)]

    assert (play(first), ["accepted", "replayed"], ["hi"]) == play(second)


@given(st.integers(0, 400))
def test_a_torn_last_line_is_cut_off(tmp_path_factory, cut):
    """Whatever the end that was written, the whole lines before it are there and the next line is readable."""
    path = tmp_path_factory.mktemp("torn") / "ledger.jsonl"
    lines = [line_of(Said(float(n), "a", "u", f"p{n}", "차")) for n in range(3)]
    path.write_bytes(b"".join(lines)[: max(0, len(b"".join(lines)) - cut)])
    whole = path.read_bytes().count(b"\n")
    ledger = Ledger(path)
    ledger.add(Said(9.0, "a", "u", "p9"))
    ledger.close()
    again = Ledger(path)
    again.close()

    assert [f"p{n}" for n in range(whole)] + ["p9"] == [one.provider_id for one in again.book.entries]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"kind":"nonsense"}\n' + line_of(Said(1.0, "a", "u", "p")))

    with pytest.raises(TwinError, match="line 1"):
        Ledger(path)


def test_two_twins_do_not_share_a_ledger(tmp_path):
    held = Ledger(tmp_path / "ledger.jsonl")

    with pytest.raises(TwinError, match="in use"):
        Ledger(tmp_path / "ledger.jsonl")
    held.close()


def test_what_is_known_is_what_the_file_says(play, tmp_path):
    """The book of the lines read again equals the one that wrote them."""

    async def scene(one):
        for n in range(4):
            await one.send("plain", reference=f"m{n % 2}", key=f"k{n}")
        await one.twin.heard(one.twin.say(Say(account="a-plain", sender="u1", text="hi")))
        return one.twin.ledger.book.summary()

    summary, again = play(scene), Ledger(tmp_path / "ledger.jsonl")
    again.close()

    assert summary == again.book.summary()


PROCESS = """
import asyncio, sys
from pathlib import Path
from parley.twin import TwinOptions, read_accounts, serve
options = TwinOptions(ledger=Path(sys.argv[1]), port=0, accounts=read_accounts(sys.argv[2].encode()))
asyncio.run(serve(options, lambda text: print(text, flush=True)))
"""


@contextlib.contextmanager
def process(path):
    """A twin in a process of its own, and its address."""
    accounts = orjson.dumps([account("plain").model_dump()]).decode()
    child = subprocess.Popen([sys.executable, "-c", PROCESS, str(path), accounts], stdout=subprocess.PIPE, text=True)
    try:
        yield child, child.stdout.readline().split(" at ")[1].split(";")[0]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


async def post(url):
    path, headers, body = request_of("plain", "hi", CUSTOMER, "m1", "")
    async with aiohttp.ClientSession() as client, client.post(url + path, data=body, headers=headers) as response:
        return response.status


def test_what_was_answered_is_in_the_ledger_after_a_kill(tmp_path, run):
    with process(tmp_path / "ledger.jsonl") as (child, url):
        status = run(post(url))
        os.kill(child.pid, signal.SIGKILL)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.close()

    assert (202, ["m1"]) == (status, [one.reference for one in ledger.book.entries])


def test_sigterm_ends_it_cleanly(tmp_path):
    with process(tmp_path / "ledger.jsonl") as (child, _):
        child.terminate()

        assert 0 == child.wait(10)


def test_what_nobody_acknowledged_is_posted_after_a_restart(tmp_path, play):
    """It was said before the twin was killed, and goes out when the account is there again."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line_of(Said(1.0, "a-plain", "u1", "p1", "hi")))

    async def scene(one):
        return orjson.loads((await one.receiver.posts.get())[2])["data"]

    assert {"id": "p1", "from": "u1", "to": "acme", "text": "hi"} == play(scene)


def test_a_port_in_use_is_said_in_words(tmp_path, run):
    async def main():
        async with running_twin(TwinOptions(ledger=tmp_path / "one", port=0)) as twin:
            port = int(twin.url.rpartition(":")[2])
            async with running_twin(TwinOptions(ledger=tmp_path / "two", port=port)):
                pass

    with pytest.raises(TwinError, match="in use"):
        run(main())


def test_accounts_of_a_file_are_checked_one_by_one():
    with pytest.raises(TwinError, match=r"1\.provider"):
        read_accounts(orjson.dumps([account("plain").model_dump(), {"name": "b", "provider": "pigeon"}]))


def test_an_empty_book_has_nothing_to_tell():
    assert {"accounts": {}, "total": {}} == Book().summary()


def test_the_twin_shares_no_code_with_what_it_witnesses():
    """Of Parley it imports nothing but itself."""
    trees = [ast.parse(path.read_text()) for path in Path(parley.twin.__file__).parent.glob("*.py")]
    names = {node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert [] == sorted(name for name in names if name.startswith("parley") and not name.startswith("parley.twin"))
