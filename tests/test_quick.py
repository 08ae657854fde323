"""What is written by hand because it runs for every request gives exactly what the plain way gives."""

import base64
import hmac
import json
from contextlib import suppress
from datetime import UTC
from urllib.parse import parse_qsl, quote_plus

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from parley import crypto, placing, wire
from parley.channels.shape import Account, Malformed, Received, Request
from parley.channels.text import document, form_fields, storable
from parley.contracts import Channel, Envelope, MessageReceived, RawReceived
from parley_ingest import taking
from tests.ingesting import RECEIVED

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.builds(Account, st.just("acme-sms"), st.just("acme"), st.just("twilio"), st.just(Channel.SMS), st.just("s")),
    WORDS, st.binary(max_size=200), st.dictionaries(st.sampled_from(sorted(taking.NEEDED)) | WORDS, WORDS, max_size=4),
    st.datetimes(timezones=st.just(UTC)), st.sampled_from(["", "m=a%26b&x=1"]),
    st.sampled_from(["", "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-x"]),
)  # fmt: skip
def test_a_record_is_the_models_own(account, address, body, headers, now, query, trace):
    """The value byte for byte as the model writes it, and the attributes those of `wire.encode`, in any order."""
    headers = {**headers, **({"traceparent": trace} if trace else {})}
    request = Request("POST", "https://h.example/hooks/acme-sms" + ("?" + query if query else ""), headers, body)
    items = [Received(Channel.SMS, address, "SM1", "text")]
    data = RawReceived(
        account="acme-sms", sender=address, query="m=a%26b" if query else "", headers={k: v for k, v in headers.items() if k in taking.NEEDED},
        body=base64.b64encode(body).decode(), received_at=now,
    )  # fmt: skip
    identifier = wire.natural_id("raw", "acme-sms", data.query, headers.get("webhook-id", ""), data.body)
    event = Envelope(
        id=str(identifier), source="parley/hooks/acme-sms", time=now, tenant="acme", started_at=now, data=data,
        traceparent=trace if len(trace) > 9 else None,
    )  # fmt: skip
    topic, key, attributes, value = wire.encode(event)

    made = taking._record(request, account, items, now)

    assert (topic, key, sorted(attributes), value) == (made[0], made[1], sorted(made[2]), made[3])
    assert event == wire.decode(made[0], made[2], made[3])


@given(st.lists(st.text(max_size=30), max_size=5))
def test_a_natural_id_as_text_is_the_ids(parts):
    """For whatever has UTF-8."""
    with suppress(UnicodeEncodeError):
        assert str(wire.natural_id(*parts)) == wire.natural_text(*parts)


@given(st.sampled_from(["sha1", "sha256", "sha512"]), st.binary(max_size=200), st.binary(max_size=300))
def test_a_signature_is_the_librarys(algorithm, key, message):
    """RFC 2104, for keys shorter and longer than a block."""
    digest = hmac.digest(key, message, algorithm)

    assert (digest.hex(), base64.b64encode(digest).decode()) == (
        crypto.hmac_hex(algorithm, key, message),
        crypto.hmac_base64(algorithm, key, message),
    )


@given(st.binary(max_size=100))
def test_the_partition_of_a_key_is_kafkas(key):
    """The hash of Kafka's own clients."""
    assert murmur2(key) & 0xFFFFFFFF == placing.murmur2(key)


FORMS = st.lists(st.sampled_from([b"a", b"=", b"&", b"+", b"%", b"%41", b"%e4%b8", b"%ad", b"%00", b"%zz", b"\xed\x95\x9c", b"\xff", b";", b" "]))


@given(
    FORMS.map(b"".join) | st.lists(st.tuples(WORDS, WORDS)).map(lambda all_: "&".join(f"{quote_plus(a)}={quote_plus(b)}" for a, b in all_).encode())
)
def test_a_form_is_read_as_the_library_reads_it(body):
    """Blank fields, plus signs, percent signs that mean nothing, bytes that are no UTF-8."""
    assert tuple(parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True)) == form_fields(body)


@given(st.text())
def test_what_can_be_stored_stays_as_it_is(text):
    """Only NUL goes, and halves of surrogate pairs are replaced."""
    stored = storable(text)

    assert "\0" not in stored.encode().decode()
    if "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text):
        assert text == stored


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
        lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
    )
)
@example("\ud83d")
@example("\ud83d\ude00 \0 half")
def test_escapes_are_read_whole_or_mended(value):
    """A document with escapes says what it says without them; what could not be stored is mended, as in a document that only the tolerant reader takes."""
    body = json.dumps({"a": value}).encode()

    assert mended(json.loads(body)) == document(body)


def mended(value):
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [mended(one) for one in value]
    return {storable(name): mended(one) for name, one in value.items()} if isinstance(value, dict) else value


@given(st.builds(MessageReceived, received_at=st.datetimes(timezones=st.just(UTC)), sent_at=st.none() | st.datetimes(timezones=st.just(UTC))))
def test_a_model_made_of_right_values_is_the_checked_one(event):
    """Equal, frozen, and the same bytes."""
    one = wire.made(MessageReceived, **{name: getattr(event, name) for name in MessageReceived.model_fields})

    assert event == one and event.model_dump_json() == one.model_dump_json()
    with pytest.raises(ValidationError):
        one.text = "changed"


def test_a_model_is_made_of_all_of_its_fields():
    """A field that somebody adds to the contract is missed at once, not where it is read."""
    with pytest.raises(AssertionError, match="MessageReceived has other fields than account"):
        wire.made(MessageReceived, account="a")


@pytest.mark.parametrize("body", [b'{"a": "\\ud83d"', b'{"a": NaN, "b": "\\u0041"}', b"\\u", b"[]"])
def test_what_is_no_document_is_none(body):
    """Whichever reader looks at it."""
    with pytest.raises(Malformed):
        document(body)


@pytest.mark.parametrize("sample", RECEIVED, ids=[one.name for one in RECEIVED])
def test_the_record_of_every_sample_can_be_read(sample):
    """What is written without a model is an event of the contract."""
    if sample.about["method"] == "POST" and isinstance(sample.about.get("reads_as"), list):
        topic, _, attributes, value = taking.taken(sample.request, sample.account, sample.now).record

        event = wire.decode(topic, attributes, value)

        assert isinstance(event.data, RawReceived)
        assert sample.body == base64.b64decode(event.data.body)
