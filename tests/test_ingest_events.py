"""`POST /events`: CloudEvents of other services in all three modes; a bad one says which and why, and nothing of its batch goes in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest

from tests.ingesting import KEY, OTHER_KEY, Ingest, Shared

pytestmark = pytest.mark.stack
ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("events")) as one:
        yield one


@pytest.fixture
def ingest(shared) -> Ingest:
    return shared.ingest


def event(**changes) -> dict:
    """A structured CloudEvent; `None` takes an attribute out."""
    data = {"customer": {"id": "c-1"}, "name": "cart.abandoned", "properties": {"total": 42000}, "occurred_at": "2026-11-24T09:00:00+09:00"}
    whole = {"specversion": "1.0", "id": str(uuid4()), "source": "shop", "type": "parley.customer.event", "data": data} | changes
    return {name: value for name, value in whole.items() if value is not None}


def post(shared: Shared, body: object, kind: str = ONE, key: str | None = KEY, **headers: str) -> tuple[int, dict]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    said = {"content-type": kind, **headers} | ({"authorization": f"Bearer {key}"} if key else {})
    status, answer, _ = shared.run(shared.ingest.ask("POST", "/events", data=raw, headers=said))
    return status, orjson.loads(answer)


def on_the_bus(shared: Shared) -> dict[str, object]:
    return {one.id: one for one in shared.run(shared.ingest.topic("parley.customers"))}


def test_a_structured_event_is_taken_as_it_is(shared):
    """Id, source, time and trace stay the sender's; the tenant is the key's, whatever the event says."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = event(time="2026-11-24T09:00:01+09:00", traceparent=trace, tenant="other", parleytenant="other")
    answer = post(shared, sent)
    found = on_the_bus(shared)[sent["id"]]

    assert (202, {"accepted": 1}) == answer
    assert ("shop", datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC), trace) == (found.source, found.time, found.traceparent)
    assert ("acme", "c-1") == (found.tenant, found.data.key)


def test_a_binary_event_is_taken(shared):
    """Attributes as `ce-` headers, percent-encoded where they must be, the data as body."""
    sent = event()
    headers = {"ce-specversion": "1.0", "ce-id": sent["id"], "ce-source": "%EC%83%81%EC%A0%90", "ce-type": sent["type"]}

    assert (202, {"accepted": 1}) == post(shared, sent["data"], "application/json", **headers)
    assert "상점" == on_the_bus(shared)[sent["id"]].source


def test_a_batch_is_taken_in_order(shared):
    """All events of one customer stand in one partition in the order of the batch."""
    sent = [event(source="ordered") for _ in range(50)]
    answer = post(shared, sent, BATCH)
    found = [one.id for one in shared.run(shared.ingest.topic("parley.customers")) if one.source == "ordered"]

    assert (202, {"accepted": 50}) == answer
    assert [one["id"] for one in sent] == found


def test_addresses_go_in_in_their_normal_form(shared):
    """A phone number as people write it is E.164 on the bus."""
    sent = event(data=event()["data"] | {"customer": {"addresses": {"sms": "+82 10-1234-5678", "email": "kim@Example.COM"}}})
    post(shared, sent)

    assert {"sms": "+821012345678", "email": "kim@example.com"} == on_the_bus(shared)[sent["id"]].data.customer.addresses


def data(**changes) -> dict:
    return {name: value for name, value in (event()["data"] | changes).items() if value is not None}


@pytest.mark.parametrize("broken, why", [
    (event(id=None), "`id` is missing"),
    (event(source=None), "`source` is missing"),
    (event(specversion="0.3"), "specversion '0.3' is not 1.0"),
    (event(type="parley.message.received"), "is no type of parley.customers"),
    (event(data=None, data_base64="e30="), "customer: Field required"),
    (event(data_base64="e30="), "`data` and `data_base64`"),
    (event(data=data(customer={})), "customer needs an `id`"),
    (event(data=data(customer=None)), "customer: Field required"),
    (event(data=data(name="Cart Abandoned")), "name: String should match"),
    (event(data=data(occurred_at="2026-11-24T09:00:00")), "occurred_at: Input should have timezone info"),
    (event(data=data(occurred_at="0001-01-01T00:00:00+09:00")), "occurred_at lies before the year 1"),
    (event(data=data(customer={"addresses": {"sms": "010-1234-5678"}})), "must be in E.164"),
    (event(data=data(customer={"addresses": {"fax": "1"}})), "customer.addresses.fax"),
    (event(data=data(customer={"id": "a\0b"})), "NUL"),
    (event(time="yesterday"), "time: "),
    (event(id="x" * 201), "id: String should have at most 200"),
    ("no object", "must be a JSON object"),
])  # fmt: skip
def test_a_bad_event_says_which_and_why_and_nothing_of_its_batch_goes_in(shared, broken, why):
    """422 names the event by its place in the batch; the good ones before and after it stay out."""
    before = on_the_bus(shared)
    status, problem = post(shared, [event(), broken, event()], BATCH)
    alone = post(shared, broken)

    assert (422, "event 1: ") == (status, problem["detail"][:9])
    assert why in problem["detail"]
    assert (422, "the event: ") == (alone[0], alone[1]["detail"][:11])
    assert before == on_the_bus(shared)


def test_an_error_does_not_repeat_what_was_sent(shared):
    """The sentence names the field; the address itself stays where it was."""
    status, problem = post(shared, event(data=data(customer={"addresses": {"sms": "010-9999-8888"}})))

    assert 422 == status
    assert "9999" not in problem["detail"]


@pytest.mark.parametrize("body, kind, status", [
    (b"{", ONE, 400), (b"", ONE, 400), (b"[", BATCH, 400), (b"{}", BATCH, 400), (b"\xff", ONE, 400),
    (b"{}", "text/plain", 415), (b"{}", "application/json", 415), (b"x" * 1_048_577, ONE, 413),
])  # fmt: skip
def test_what_is_no_cloudevent_is_refused(shared, body, kind, status):
    """Not JSON 400, of no kind that we know 415, too large 413."""
    assert status == post(shared, body, kind)[0]


def test_a_batch_has_an_end(shared):
    """A thousand events are taken, one more is not; none is nothing."""
    assert [202, 400, 202] == [post(shared, [event()] * count, BATCH)[0] for count in (1000, 1001, 0)]


def test_without_a_key_401_and_with_the_wrong_one_403(shared):
    """The key says who; its scopes say what."""
    answers = [post(shared, event(), key=key) for key in (None, "nobody's", OTHER_KEY)]

    assert [401, 401, 403] == [status for status, _ in answers]
    assert "'events:write'" in answers[2][1]["detail"]


def test_only_posts_are_taken(shared):
    """405 is a problem document too, and says what is allowed."""
    status, body, headers = shared.run(shared.ingest.ask("GET", "/events"))

    assert (405, "POST", "application/problem+json") == (status, headers["allow"], headers["content-type"])
    assert 405 == orjson.loads(body)["status"]


def test_a_known_property_that_is_wrong_is_refused_by_its_name(shared):
    """What Parley reads must be as the contract says; other names and other properties pass as they are."""
    status, problem = post(shared, event(data=data(properties={"total": "secret", "own": 1})))
    passed = post(shared, event(data=data(name="com.example.thing", properties={"total": "secret"})))

    assert (422, "the event: properties of cart.abandoned: total: Value error, must be a number below 10^15, also as text") == (
        status,
        problem["detail"],
    )
    assert (202, {"accepted": 1}) == passed


def test_a_foreign_type_that_names_a_customer_is_taken_under_its_type(shared):
    """What stands in its data are its properties; it happened at its time, or now."""
    sent = event(type="com.example.order.shipped", data={"customer": {"id": "c-1"}, "order": "A1"}, time="2026-11-24T09:00:00Z")
    answer = post(shared, sent)
    found = on_the_bus(shared)[sent["id"]].data

    assert (202, "com.example.order.shipped", {"order": "A1"}) == (answer[0], found.name, found.properties)
