"""SMPP: every sample of an operator, texts cut and joined, ids in all their forms, and no octets that break anything. Held against another library."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from aiosmpplib.codec import GSM7BitCodec
from hypothesis import given
from hypothesis import strategies as st
from smpplib import consts

from parley.channels import gsm, smpp, smpp_link, text
from parley.channels import smpp_pdu as wire
from parley.channels.shape import Account, Forged, Malformed, Outgoing, Receipt, Received, Request, Response, Unreachable
from parley.config import load
from parley.contracts import Channel, Choice, Content, Media, ReceiptStatus
from parley.yamlfile import ConfigError
from tests.smsc import theirs, written
from tests.test_samples import Sample, everything, said

ACCOUNT = Account("op", "t", "smpp", Channel.SMS, "+447700900100")
PHONE = "+447700900123"
texts = st.text(max_size=500) | st.text(st.sampled_from(gsm.TABLE.replace("\x1b", "") + "€^{}[]~|\\\f"), max_size=500)


def pdu(**fields: object) -> bytes:
    """A deliver_sm as the other library writes it."""
    return written("deliver_sm", **{"source_addr": PHONE[1:], "destination_addr": "447700900100", "sequence": 7, **fields})


def read(data: bytes, account: Account = ACCOUNT, connection: str = "") -> Sequence[object]:
    return smpp.parse(Request(smpp.METHOD, "", {smpp.CONNECTION: connection}, data), account)


def receipt(words: bytes, account: Account = ACCOUNT, **tlvs: object) -> Receipt:
    (found,) = read(pdu(esm_class=4, short_message=words, **tlvs), account)
    return found


def outgoing(words: str, **content: object) -> Outgoing:
    return Outgoing(UUID(int=0x1234), PHONE, Content(text=words, **content), datetime(2026, 11, 24, tzinfo=UTC))


def operator(options: str, **more: object) -> Account:
    return replace(ACCOUNT, base_url=f"smpp://smsc.example.com:2775{options}", **more)


# --- samples ---------------------------------------------------------------------------------------------------------------------------


def of_smpp(pytestconfig) -> list[Sample]:
    return [one for one in everything(Path(pytestconfig.getoption("--samples"))) if one.about.get("transport") == "smpp"]


def test_every_sample_reads_as_it_should(pytestconfig):
    """What comes by the bind, and what answers a submit_sm; parts are joined with those before them, and only what `reads_as` names is compared."""
    wanted, got, parts = {}, {}, {}
    for sample in of_smpp(pytestconfig):
        expected, data = sample.about["reads_as"], bytes.fromhex(sample.body.decode())
        if isinstance(expected, dict) and "class" in expected:
            outcome = smpp.interpret(Response(200, {}, data))
            told = {"class": outcome.kind, "provider_id": outcome.provider_id, "scope": outcome.scope}
            found = {key: told[key] for key in expected}
        else:
            found = [said(item) for item in joined(data, parts)] if readable(data) else {"reject": 400}
            if isinstance(expected, list) and isinstance(found, list):
                found = [{key: item.get(key) for key in one} for item, one in zip(found, expected, strict=False)] + found[len(expected) :]
        wanted[sample.name], got[sample.name] = expected, found

    assert wanted == got


def test_there_are_samples_of_both_ways(pytestconfig):
    """A walk over nothing proves nothing; a directory given by hand may hold other channels alone."""
    samples = of_smpp(pytestconfig)

    assert {True, False} == {"direction" in one.about for one in samples} or Path(pytestconfig.getoption("--samples")).name != "samples"


def readable(data: bytes) -> bool:
    try:
        read(data)
    except Malformed:
        return False
    return True


def joined(data: bytes, parts: dict[str, dict[int, Received]]) -> Sequence[object]:
    """The items of a PDU; a part gives the whole message once all the others have come."""
    items = read(data)
    if not items or not isinstance(items[0], Received) or items[0].piece.total == 1:
        return items
    piece = items[0].piece
    together = parts.setdefault(piece.whole, {})
    together[piece.number] = items[0]
    return [smpp.join([together[n] for n in sorted(together)])] if len(together) == piece.total else []


# --- texts -----------------------------------------------------------------------------------------------------------------------------


@given(texts)
def test_a_text_survives_being_cut_and_joined(words):
    """Any Unicode, in as many parts as are counted, as long as parts may be, read back by our own reader."""
    if not words.replace("\0", ""):
        return
    built = smpp.build(outgoing(words), ACCOUNT)
    parts = [theirs(one.body) for one in built]
    items = [read(pdu(short_message=one.short_message, data_coding=one.data_coding, esm_class=one.esm_class))[0] for one in parts]
    whole = items[0] if len(items) == 1 else smpp.join(items)

    assert text.storable(words) == whole.text
    assert gsm.segments(words) == len(built) == smpp.segments(Content(text=words)) == smpp.counted(Content(text=words), ACCOUNT)
    assert all(len(one.short_message) <= (160 if one.data_coding == 0 else 140) for one in parts)


@given(texts)
def test_octets_are_those_of_another_library(words):
    """GSM 03.38 as aiosmpplib writes it, which refuses where we change over to UCS-2."""
    sms = gsm.encoded(words)
    other = "gsm" if GSM7BitCodec.is_gsm_text(words) else "ucs2"

    assert other == sms.alphabet
    assert (GSM7BitCodec().encode(words)[0] if other == "gsm" else words.encode("utf-16-be")) == b"".join(sms.parts)


def test_the_table_is_the_one_that_segments_are_counted_by():
    """Two tables of one alphabet would drift apart."""
    assert text.GSM == frozenset(gsm.TABLE) - {"\x1b"}
    assert text.GSM_EXTENSION == frozenset(gsm.EXTENSION.values())


@pytest.mark.parametrize(
    "words, lengths", [("a" * 160, [160]), ("a" * 161, [159, 14]), ("가" * 70, [140]), ("가" * 71, [140, 14]), ("a" * 152 + "€" + "a" * 10, [158, 18])],
    ids=["160", "161", "70", "71", "euro"],
)  # fmt: skip
def test_a_text_is_cut_where_parts_are_full(words, lengths):
    """With the header of six octets; what does not fit whole goes into the next part."""
    assert lengths == [len(theirs(one.body).short_message) for one in smpp.build(outgoing(words), ACCOUNT)]


@pytest.mark.parametrize(
    "coding, body, words",
    [
        (0, b"\x00 \x1be \x1b\x41", "@ € A"), (0, b"Gr\xfc\xdfe", "Grüße"), (1, b"plain", "plain"), (3, b"Gr\xfc\xdfe", "Grüße"),
        (8, "안녕 🙂".encode("utf-16-be"), "안녕 🙂"), (8, b"\x00a\x00", "a"), (8, b"\xd8\x3d", "�"), (6, "привет".encode("iso8859_5"), "привет"),
        (14, "안녕".encode("euc_kr"), "안녕"), (0xF0, b"\x00", "@"), (0x18, b"\x00a", "a"), (0xF5, b"\x01", None), (4, b"\x01", None), (0x7F, b"x", None),
        (8, b"\x00\x00\x00a", "a"), (0, b"", ""),
    ],
)  # fmt: skip
def test_a_text_is_read_by_its_coding(coding, body, words):
    """What is no text is a message of type unsupported, never a lost one."""
    (found,) = read(pdu(data_coding=coding, short_message=body))

    assert (words, "unsupported" if words is None else "text") == (found.text, found.kind)


def test_a_character_across_two_parts_is_read_whole():
    """Others cut where they like: between an escape and its character, between the halves of an emoji."""
    emoji = "🙂".encode("utf-16-be")
    cut = [(0, [b"\x1b", b"e"], "€"), (8, [emoji[:2], emoji[2:]], "🙂")]
    for coding, (first, second), words in cut:
        parts = [read(pdu(esm_class=0x40, data_coding=coding, short_message=gsm.header(9, 2, n) + one))[0] for n, one in ((1, first), (2, second))]

        assert words == smpp.join(parts).text


@pytest.mark.parametrize("form", ["udh8", "udh16", "sar", "payload"])
def test_parts_are_known_in_every_form(form):
    """A reference of one octet or two, behind other elements of the header, or as TLVs; the text may be the payload."""

    def part(number: int) -> bytes:
        if form == "sar":
            return pdu(short_message=b"x", sar_msg_ref_num=300, sar_total_segments=2, sar_segment_seqnum=number)
        words = (bytes([9, 0x24, 1, 1, 8, 4, 1, 44, 2, number]) if form == "udh16" else bytes([5, 0, 3, 9, 2, number])) + b"x"
        return pdu(esm_class=0x40, **{"message_payload" if form == "payload" else "short_message": words})

    (first,), (second,) = read(part(1)), read(part(2))

    assert [(2, 1, b"x"), (2, 2, b"x")] == [(one.piece.total, one.piece.number, one.piece.body) for one in (first, second)]
    assert first.piece.whole == second.piece.whole and first.text is None


@pytest.mark.parametrize("ton, number, address", [(1, "447700900123", PHONE), (0, "447700900123", PHONE), (0, "80888", "80888"), (2, "07700900123", "07700900123"),
                                                  (5, "BANK", "BANK"), (3, "1234", "1234"), (99, "x", "x")])  # fmt: skip
def test_a_sender_is_written_as_parley_writes_it(ton, number, address):
    """E.164 where the number is whole; names and short codes as they are."""
    (found,) = read(pdu(source_addr_ton=ton, source_addr=number, short_message=b"x"))

    assert address == found.address


def test_the_same_delivery_has_one_id_and_each_delivery_its_own():
    """By connection and sequence number; the words alone are the same."""
    ids = [read(pdu(short_message=b"1", sequence=n), connection=where)[0] for where, n in (("a", 1), ("a", 1), ("a", 2), ("b", 1))]

    assert 3 == len({one.provider_id for one in ids}) and ids[0].provider_id == ids[1].provider_id
    assert 1 == len({one.piece.words for one in ids})


# --- receipts --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, status, failure",
    [("DELIVRD", "delivered", None), ("ACCEPTD", "sent", None), ("ENROUTE", "sent", None), ("EXPIRED", "failed", "transient"), ("UNDELIV", "failed", "permanent"),
     ("DELETED", "failed", "permanent"), ("REJECTD", "failed", "permanent"), ("UNKNOWN", "unknown", None), ("WHATEVR", "unknown", None)],
)  # fmt: skip
def test_a_state_says_the_same_as_a_word_and_as_a_number(words, status, failure):
    """The text of appendix B, and the TLV where there is one."""
    found = [receipt(f"id:7 stat:{words} err:001 text:stat:DELIVRD".encode())]
    if words in smpp.WORDS:
        found.append(receipt(b"id:7 err:001", message_state=smpp.WORDS[words]))

    assert {(ReceiptStatus(status), failure, "7", "001", PHONE)} == {
        (one.status, one.failure, one.provider_id, one.code, one.address) for one in found
    }


def test_a_receipt_is_read_in_ucs_2_and_from_a_data_sm():
    """Some operators write even receipts in two octets a character, and send them as data_sm."""
    wide = receipt("id:7 stat:DELIVRD err:000 text:".encode("utf-16-be"), data_coding=8)
    body = b"\0\x01\x01447700900123\0\x01\x01447700900100\0\x04\0\0" + b"\x00\x1e\x00\x01" + b"7" + b"\x04\x27\x00\x01\x02"
    (lone,) = read(wire.Pdu(wire.DATA_SM, 0, 1, body).wire)

    assert [("7", ReceiptStatus.DELIVERED, None)] * 2 == [(one.provider_id, one.status, one.code) for one in (wide, lone)]


@pytest.mark.parametrize(
    "options, answer, words, tlv",
    [("", "1D305B4C", b"id:1d305b4c", None), ("", "1D305B4C", b"id:489708364", b"1d305b4c"), ("?ids=decimal", "1D305B4C", b"id:0489708364", None),
     ("?ids=decimal", "1D305B4C", b"id:0489708364", b"1d305b4c"), ("?ids=hex", "489708364", b"id:1D305B4C", None),
     ("?ids=hex", "489708364", b"id:1D305B4C", b"489708364"), ("", "a-b_C", b"id:a-b_C", None), ("?ids=decimal", "x-y", b"id:x-y", None)],
)  # fmt: skip
def test_a_receipt_finds_its_message_in_every_form_of_the_id(options, answer, words, tlv):
    """Capitals or not, hexadecimal in the answer and decimal in the receipt, or the other way round."""
    account = operator(options)
    found = receipt(words + b" stat:DELIVRD", account, **({"receipted_message_id": tlv.decode()} if tlv else {}))

    assert smpp_link.answered_id(answer, account) == found.provider_id


def test_an_id_without_the_zero_at_its_end_keeps_its_last_digit():
    """Operators leave the zero out, and put lone ones where none belong."""
    with_zero = pdu(esm_class=4, receipted_message_id="1d305b4c", message_state=2)
    without = with_zero.replace(b"\x00\x1e\x00\x091d305b4c\x00", b"\x00\x1e\x00\x081d305b4c") + b"\x00"
    found = read(len(without).to_bytes(4, "big") + without[4:])[0]

    assert ("1d305b4c", ReceiptStatus.DELIVERED) == (found.provider_id, found.status)


# --- what breaks nothing ---------------------------------------------------------------------------------------------------------------


def quiet(data: bytes) -> bool:
    """Whether the octets are read, or refused in words."""
    try:
        read(data)
    except Malformed as error:
        return bool(str(error))
    return True


good = [
    pdu(short_message=b"hi"),
    pdu(esm_class=4, short_message=b"id:1 stat:DELIVRD err:0"),
    pdu(esm_class=0x40, short_message=bytes([5, 0, 3, 1, 2, 1, 65])),
]


@given(
    st.binary(max_size=300)
    | st.tuples(st.sampled_from(good), st.integers(0, 80), st.binary(min_size=1, max_size=8)).map(
        lambda one: one[0][: one[1]] + one[2] + one[0][one[1] :]
    )
)
def test_no_octets_break_the_reader(data):
    """Noise, noise with a true length, and true PDUs with noise in them."""
    framed = (len(data) + 16).to_bytes(4, "big") + b"\0\0\0\x05" + bytes(8) + data
    stretched = len(data).to_bytes(4, "big") + data[4:] if len(data) >= 16 else data

    assert quiet(data) and quiet(framed) and quiet(stretched)


@given(st.binary(max_size=64))
def test_no_answer_is_unknown(data):
    """An answer is an answer, and only a submit_sm_resp accepts."""
    assert smpp.interpret(Response(200, {}, data)).kind in ("accepted", "permanent", "transient", "throttled")
    assert "accepted" != smpp.interpret(Response(200, {}, wire.Pdu(wire.GENERIC_NACK, 0, 1, data).wire)).kind


@pytest.mark.parametrize(
    "status, kind, scope",
    [(0x58, "throttled", "message"), (0x14, "throttled", "message"), (0x08, "transient", "message"), (0x45, "transient", "message"),
     (0x64, "transient", "message"), (0xFE, "transient", "message"), (0x0A, "permanent", "message"), (0x0B, "permanent", "message"),
     (0x01, "permanent", "message"), (0x65, "permanent", "message"), (0x66, "permanent", "message"), (0x400, "permanent", "message"),
     (0x4FF, "permanent", "message"), (0x0D, "permanent", "account"), (0x0E, "permanent", "account"), (0x0F, "permanent", "account")],
)  # fmt: skip
def test_a_command_status_has_its_class(status, kind, scope):
    """The statuses of the standard, and those of vendors, which no list holds."""
    outcome = smpp.interpret(Response(200, {}, wire.Pdu(wire.SUBMIT_SM | wire.RESPONSE, status, 1).wire))

    assert (kind, scope, f"0x{status:08X}") == (outcome.kind, outcome.scope, outcome.code)


def test_nothing_comes_over_http():
    """The bind is the operator's only way in."""
    with pytest.raises(Forged):
        smpp.verify(Request("POST", "http://x/hooks/op", {}, pdu(short_message=b"hi")), ACCOUNT, datetime.now(UTC))


# --- what is sent ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender, options, source", [("+447700900100", "", (1, 1, b"447700900100")), ("80888", "", (3, 0, b"80888")), ("ACME", "", (5, 0, b"ACME")),
                                                     ("80888", "?source_ton=6&source_npi=9", (6, 9, b"80888"))])  # fmt: skip
def test_a_submit_sm_is_what_another_library_reads(sender, options, source):
    """Sender by its kind, or as the operator wants it; a receipt is asked for."""
    (built,) = smpp.build(
        outgoing("hi", choices=(Choice(id="1", title="Yes"),), media=(Media(kind="image", url="https://a/b"),)), operator(options, sender=sender)
    )
    found = theirs(built.body)

    assert source == (found.source_addr_ton, found.source_addr_npi, found.source_addr)
    assert (1, 1, PHONE[1:].encode(), 1, 0) == (
        found.dest_addr_ton,
        found.dest_addr_npi,
        found.destination_addr,
        found.registered_delivery,
        found.data_coding,
    )
    assert b"hi\n1. Yes\nhttps://a/b" == found.short_message


def test_all_parts_carry_the_reference_of_their_message():
    """Made of the message's id, so a part that is sent again belongs to the others."""
    found = [theirs(one.body) for one in smpp.build(outgoing("a" * 400), ACCOUNT)]

    assert [bytes([5, 0, 3, 0x34, 3, n]) for n in (1, 2, 3)] == [one.short_message[:6] for one in found]
    assert {consts.SMPP_GSMFEAT_UDHI} == {one.esm_class for one in found}


@pytest.mark.parametrize(
    "address, words, sender", [(PHONE, "", "+1"), (PHONE, "가" * 20_000, "+1"), (PHONE, "x", "A name too long"), (PHONE, "x", "Grüße")]
)
def test_what_no_operator_takes_is_not_built(address, words, sender):
    """In words that say why."""
    with pytest.raises(ValueError):
        smpp.build(replace(outgoing(words), address=address), replace(ACCOUNT, sender=sender))


def test_an_address_without_a_phone_is_unreachable():
    """It can be dropped."""
    with pytest.raises(Unreachable, match="phone number"):
        smpp.build(replace(outgoing("x"), address="u1"), ACCOUNT)


@pytest.mark.parametrize("url, words", [(None, "missing"), ("http://x", "smpp://"), ("smpp://h?windw=1", "windw"), ("smpp://h?window=0", "window"),
                                        ("smpp://h?ids=octal", "ids"), ("smpp://h?source_npi=2", "source_npi")])  # fmt: skip
def test_an_address_that_leads_nowhere_is_refused_with_its_line(tmp_path, url, words):
    """By the check of accounts.yaml, before anything is sent."""
    line = f"    base_url: {url}\n" if url else ""
    (tmp_path / "accounts.yaml").write_text(
        'tenants:\n  t: {}\naccounts:\n  op:\n    tenant: t\n    provider: smpp\n    channel: sms\n    sender: "+1"\n'
        f'{line}    credentials: {{system_id: "env:A", password: "env:A"}}\n'
    )
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, {"A": "x"})
