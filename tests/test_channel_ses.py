"""Amazon SES: who comes in through SNS, what an event says, what a call looks like, what its answer means."""

import base64
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import ses
from parley.channels.shape import Account, Control, Engaged, Forged, Item, Malformed, Opted, Outgoing, Receipt, Request, Response, Unkeyed
from parley.contracts import Channel, ConsentState, Content, Purpose, ReceiptStatus, Template
from tests.mailing import NOW, OURS, ROOT, entered, json_values, shown, survives

TOPIC, CERTIFICATE = "arn:aws:sns:eu-west-1:1:ses", "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem"
KEYS = {"access_key_id": ("AK",), "secret_access_key": ("s",), "region": ("eu-west-1",)}
ACCOUNT = Account("a", "t", "ses", Channel.EMAIL, "차 <hello@acme.example>", {"topic_arn": (TOPIC, "arn:old"), **KEYS})
SAMPLES = [path.read_bytes() for path in sorted((ROOT / "ses").glob("*.json")) if not path.name.endswith(".headers.json")]
MAIL = {"timestamp": "2026-11-23T09:28:00Z", "messageId": "m1", "destination": ["Jo@Example.com"], "tags": {"platform_ref": [str(OURS)]}}
AT = datetime(2026, 11, 23, 9, 29, tzinfo=UTC)


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - timedelta(days=9), NOW + timedelta(days=9)).sign(key, SHA256())
    return made.public_bytes(Encoding.PEM).decode()


RSA, CURVE = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
PEM = certificate(RSA)


def envelope(version: str = "2", **change: object) -> dict[str, object]:
    """A notification as SNS signs it."""
    made = {"Type": "Notification", "MessageId": "n1", "TopicArn": TOPIC, "Message": "{}", "Timestamp": "2026-11-23T09:29:30.000Z",
            "SignatureVersion": version, "SigningCertURL": CERTIFICATE, **change}  # fmt: skip
    covered = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    text = "".join(f"{name}\n{made[name]}\n" for name in covered if name in made)
    digest = SHA1() if version == "1" else SHA256()
    return {**made, "Signature": base64.b64encode(RSA.sign(text.encode(), padding.PKCS1v15(), digest)).decode()}


def request(body: object, pem: str | None = PEM) -> Request:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    return Request(
        "POST", "https://h.example/hooks/a", {"content-type": "text/plain; charset=UTF-8"}, sent, {CERTIFICATE: pem} if pem is not None else {}
    )


def told(word: str, section: dict[str, object] | None = None, mail: object = MAIL, field: str = "eventType") -> list[Item]:
    event = {field: word, "mail": mail, ses.SECTIONS.get(word, "x"): section or {}}
    return list(ses.parse(request(envelope(Message=orjson.dumps(event).decode())), ACCOUNT))


@pytest.mark.parametrize("version", ["1", "2"])
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=30), st.none() | st.just("Amazon SES"))
def test_what_sns_signed_comes_in(version, text, subject):
    """Both versions of its signature, any text, with a subject and without."""
    signed = envelope(version, Message=text, **({"Subject": subject} if subject else {}))

    assert entered(ses, request(signed), ACCOUNT) and not entered(ses, request({**signed, "Message": text + " "}), ACCOUNT)


def test_a_key_that_is_not_there_is_asked_for():
    """Only by its address at Amazon; with the certificate the same request comes in."""
    with pytest.raises(Unkeyed) as asked:
        ses.verify(request(envelope(), None), ACCOUNT, NOW)

    assert CERTIFICATE == asked.value.url


@pytest.mark.parametrize(
    "url", ["http://sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem", "https://evil.example/a.pem",
            "https://sns.eu-west-1.amazonaws.com/a.crt", "https://sns.eu-west-1.amazonaws.com/?x=/a.pem", "https://sns.a.amazonaws.com/a.pem",
            "https://u@sns.eu-west-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com:8443/a.pem", "https://xsns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com/a.pem\n", "https://sns.eu-west-1xamazonaws.com/a.pem", "https://sns.eu.west.amazonaws.com/a.pem", ""]
)  # fmt: skip
def test_no_other_address_is_ever_asked(url):
    """Neither fetched nor believed, also when a certificate is there for it."""
    one = request(envelope(SigningCertURL=url), None)
    for keys in ({}, {url: PEM}):
        with pytest.raises(Forged):
            ses.verify(Request(one.method, one.url, one.headers, one.body, keys), ACCOUNT, NOW)


@pytest.mark.parametrize("url", ["https://sns.cn-north-1.amazonaws.com.cn/a.pem", "https://sns.us-gov-west-1.amazonaws.com/b/a.pem"])
def test_every_region_of_amazon_may_sign(url):
    with pytest.raises(Unkeyed):
        ses.verify(request(envelope(SigningCertURL=url), None), ACCOUNT, NOW)


@pytest.mark.parametrize(
    "change", [{"TopicArn": "arn:aws:sns:eu-west-1:2:theirs"}, {"TopicArn": ""}, {"SignatureVersion": "3"}, {"Timestamp": "soon"},
               {"Timestamp": "2026-11-23T09:29:30"}, {"MessageId": "n1\nSubject\nx"}, {"TopicArn": [TOPIC]}]
)  # fmt: skip
def test_a_well_signed_message_may_still_not_be_ours(change):
    """Amazon signs for everybody's topics; without a time it could be any old one; and a line break would move what is signed."""
    assert not entered(ses, request(envelope(**change)), ACCOUNT)


@pytest.mark.parametrize("topic, taken", [(TOPIC, True), ("arn:old", True), ("arn:x", False)])
def test_topics_rotate(topic, taken):
    assert taken is entered(ses, request(envelope(TopicArn=topic)), ACCOUNT)


@pytest.mark.parametrize("age, taken", [(0, True), (3900, True), (3901, False), (-300, True), (-301, False)])
def test_a_message_is_repeated_for_an_hour_at_most(age, taken):
    """So long SNS keeps trying, under the first signature."""
    at = (NOW - timedelta(seconds=age)).isoformat()

    assert taken is entered(ses, request(envelope(Timestamp=at)), ACCOUNT)


@pytest.mark.parametrize("pem", ["", "x", "é", PEM[:300], certificate(CURVE), certificate(rsa.generate_private_key(65537, 2048))])
def test_another_certificate_lets_nobody_in(pem):
    """Nor does one that cannot be read."""
    assert not entered(ses, request(envelope(), pem), ACCOUNT)


@pytest.mark.parametrize("signature", ["", "AAAA", "é", None, 3])
def test_another_signature_is_refused(signature):
    assert not entered(ses, request({**envelope(), "Signature": signature}), ACCOUNT)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"\xff", b'{"TopicArn": "\\ud800"}', b"[" * 100_000])
def test_what_is_no_envelope_comes_from_nobody(body):
    assert not entered(ses, request(body), ACCOUNT)


def test_a_subscription_is_to_be_confirmed_at_amazon_only():
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=2336"
    asked = envelope(Type="SubscriptionConfirmation", SubscribeURL=url, Token="2336")

    assert entered(ses, request(asked), ACCOUNT) and [Control("subscription_confirmation", url)] == ses.parse(request(asked), ACCOUNT)


@pytest.mark.parametrize(
    "url", ["https://evil.example/?Action=ConfirmSubscription&x", "https://sns.eu-west-1.amazonaws.com/?Action=Publish&x", "", None]
)
def test_a_subscription_elsewhere_is_said_to_be_wrong(url):
    with pytest.raises(Malformed, match="SubscribeURL"):
        ses.parse(request({"Type": "SubscriptionConfirmation", "SubscribeURL": url}), ACCOUNT)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b'{"Type": []}'])
def test_a_body_that_sns_never_sends_is_said_to_be_wrong(body):
    with pytest.raises(Malformed, match=r"\."):
        ses.parse(request(body), ACCOUNT)


@pytest.mark.parametrize(
    "kind, message",
    [("UnsubscribeConfirmation", "You have chosen"), ("Notification", "Successfully validated SNS topic"), ("Notification", "[]"), ("Notification", None),
     ("Notification", '{"eventType":"Waved","mail":{}}'), ("Notification", '{"notificationType":"AmazonSnsSubscriptionSucceeded"}'), ("Other", "{}")],
)  # fmt: skip
def test_other_messages_say_nothing(kind, message):
    """An unsubscription least of all: its link subscribes again."""
    assert [] == ses.parse(request({"Type": kind, "Message": message}), ACCOUNT)


@pytest.mark.parametrize(
    "word, section, status, code, failure, at",
    [("Send", {}, ReceiptStatus.SENT, None, None, AT - timedelta(minutes=1)),
     ("Delivery", {"recipients": ["jo@example.com"], "timestamp": "2026-11-23T09:29:00Z"}, ReceiptStatus.DELIVERED, None, None, AT),
     ("DeliveryDelay", {"delayedRecipients": [{"emailAddress": "jo@example.com", "status": "4.4.1"}], "timestamp": "2026-11-23T09:29:00Z"},
      ReceiptStatus.DEFERRED, "4.4.1", None, AT),
     ("Bounce", {"bounceType": "Permanent", "bounceSubType": "NoEmail", "bouncedRecipients": [{"emailAddress": "Jo <JO@example.com>"}]},
      ReceiptStatus.FAILED, "NoEmail", "permanent", AT + timedelta(seconds=30)),
     ("Bounce", {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": "jo@example.com", "status": "4.2.2"}]},
      ReceiptStatus.FAILED, "4.2.2", "transient", AT + timedelta(seconds=30)),
     ("Bounce", {"bounceType": "Undetermined"}, ReceiptStatus.FAILED, None, "transient", AT + timedelta(seconds=30)),
     ("Reject", {"reason": "Bad content"}, ReceiptStatus.FAILED, "Bad content", "permanent", AT + timedelta(seconds=30)),
     ("Rendering Failure", {"errorMessage": "p3 is missing", "templateName": "t"}, ReceiptStatus.FAILED, "p3 is missing", "permanent",
      AT + timedelta(seconds=30))],
)  # fmt: skip
@pytest.mark.parametrize("field", ["eventType", "notificationType"])
def test_a_receipt_tells_what_became_of_a_message(word, section, status, code, failure, at, field):
    """Published by a configuration set, or as feedback of an identity."""
    expected = Receipt(Channel.EMAIL, status, "m1", OURS, "jo@example.com", code, failure, at, event_id="n1")

    assert [expected] == told(word, section, field=field)


def test_each_person_of_a_bounce_has_a_receipt():
    """What names nobody is passed over; where nobody is named, the message alone has one."""
    many = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "a@b"}, 3, {"emailAddress": None}, {"emailAddress": "C@d"}]}
    found, nobody = told("Bounce", many), told("Bounce", {}, {"messageId": "m1"})

    assert ["a@b", "c@d", None] == [item.address for item in (*found, *nobody) if isinstance(item, Receipt)]


@pytest.mark.parametrize("mail, address", [(MAIL, "jo@example.com"), ({**MAIL, "destination": ["a@b", "c@d"]}, None)])
def test_an_open_names_the_person_only_where_there_was_one(mail, address):
    """Nobody knows which of several it was."""
    opened, clicked = *told("Open", {"userAgent": "Mozilla/5.0"}, mail), *told("Click", {"link": "https://s.example/x", "userAgent": "M"}, mail)

    assert isinstance(opened, Engaged) and isinstance(clicked, Engaged) and "https://s.example/x" == clicked.url
    assert [(address, OURS, "m1", None)] * 2 == [(one.address, one.message_id, one.provider_id, one.machine) for one in (opened, clicked)]


@pytest.mark.parametrize(
    "section, count",
    [({"complainedRecipients": [{"emailAddress": "jo@example.com"}], "complaintFeedbackType": "abuse"}, 1), ({}, 1),
     ({"complaintFeedbackType": "not-spam"}, 0)],
)  # fmt: skip
def test_a_complaint_is_an_opt_out(section, count):
    """Unless it says the opposite."""
    about = Opted(Channel.EMAIL, "jo@example.com", ConsentState.REVOKED, tuple(Purpose), AT + timedelta(seconds=30), "n1", "spam_complaint", OURS)

    assert [about] * count == told("Complaint", section)


def test_a_complaint_of_several_people_is_not_laid_on_all_who_were_written_to():
    assert [] == told("Complaint", {}, {**MAIL, "destination": ["a@b", "c@d"]})


def test_who_complained_before_got_nothing_now():
    receipt, opted = told("Complaint", {"complaintSubType": "OnAccountSuppressionList"})

    assert isinstance(receipt, Receipt) and (ReceiptStatus.FAILED, "opted_out") == (receipt.status, receipt.failure) and isinstance(opted, Opted)


@pytest.mark.parametrize(
    "wanted, state, purposes",
    [({"unsubscribeAll": True, "topicSubscriptionStatus": []}, ConsentState.REVOKED, tuple(Purpose)), ({}, ConsentState.REVOKED, tuple(Purpose)),
     ({"unsubscribeAll": False, "topicSubscriptionStatus": [{"topicName": "a", "subscriptionStatus": "OptOut"}, {"subscriptionStatus": "OptIn"}]},
      ConsentState.REVOKED, (Purpose.MARKETING,)),
     ({"unsubscribeAll": False, "topicSubscriptionStatus": [{"topicName": "a", "subscriptionStatus": "OptIn"}]}, ConsentState.GRANTED,
      (Purpose.MARKETING,))],
)  # fmt: skip
def test_preferences_of_a_contact_list_are_consent(wanted, state, purposes):
    """Out of all mail, out of a topic, or in again; what cannot be read never grants anything."""
    (item,) = told("Subscription", {"newTopicPreferences": wanted})

    assert isinstance(item, Opted) and (state, purposes) == (item.state, item.purposes)


values = json_values | st.sampled_from(["Bounce", "Send", "Open", "Complaint", "Permanent", ["a@b"], [{"emailAddress": "a@b"}], {"platform_ref": 3}])
events = st.dictionaries(st.sampled_from(["eventType", "notificationType", "mail", *ses.SECTIONS.values()]),
                         values | st.dictionaries(st.sampled_from(["destination", "tags", "messageId", *ses.PEOPLE.values()]), values))  # fmt: skip


@given(st.binary(max_size=200) | st.sampled_from(SAMPLES) | events.map(lambda event: orjson.dumps(envelope(Message=orjson.dumps(event).decode()))),
       st.data(), st.sampled_from([200, 400]))  # fmt: skip
def test_no_bytes_break_the_door(body, data, status):
    """Whole or with a piece cut out; with any event inside."""
    cut = data.draw(st.slices(len(body)))

    assert all(survives(ses, request(one), ACCOUNT, status) for one in (body, body[: cut.start or 0] + body[cut.stop or 0 :]))


def test_a_request_is_built_as_ses_shows_it():
    wanted, built = shown(ses)

    assert (wanted["method"], wanted["url"], wanted["json"]) == (built["method"], built["url"], built["fields"])


def test_a_text_beyond_ascii_says_so_and_headers_travel_along():
    """Without a character set, SES refuses it. The time of the signature is that of the attempt; nothing asks for a key that is not honoured."""
    message = Outgoing(OURS, "jo@example.com", Content(text="차\n\nis here"), NOW, unsubscribe_url="https://l.example/u")
    (request,) = ses.build(message, ACCOUNT)
    body = orjson.loads(request.body)
    simple = body["Content"]["Simple"]

    assert ({"Data": "차", "Charset": "UTF-8"}, {"Data": "is here"}) == (simple["Subject"], simple["Body"]["Text"])
    assert ["List-Unsubscribe", "List-Unsubscribe-Post"] == [one["Name"] for one in simple["Headers"]]
    assert "=?utf-8?b?7LCo?= <hello@acme.example>" == body["FromEmailAddress"] and "ConfigurationSetName" not in body
    assert "20261123T093000Z" == request.headers["x-amz-date"] and "idempotency-key" not in request.headers


@pytest.mark.parametrize("region, host", [("eu-west-1", "email.eu-west-1.amazonaws.com"), ("cn-north-1", "email.cn-north-1.amazonaws.com.cn")])
def test_a_template_is_filled_in_by_ses_in_its_region(region, host):
    account = Account("a", "t", "ses", Channel.EMAIL, "h@a.example", {**KEYS, "region": (region,), "session_token": ("st",)})
    (request,) = ses.build(Outgoing(OURS, "jo@example.com", Content(template=Template(name="w", language="ko", parameters=("x",))), NOW), account)

    assert {"Template": {"TemplateName": "w", "TemplateData": '{"p1":"x","language":"ko"}'}} == orjson.loads(request.body)["Content"]
    assert f"https://{host}/v2/email/outbound-emails" == request.url and "st" == request.headers["x-amz-security-token"]
    assert f"/{region}/ses/aws4_request" in request.headers["authorization"]


@pytest.mark.parametrize(
    "status, name, kind, scope",
    [(200, None, "accepted", "message"), (429, "TooManyRequestsException", "throttled", "message"), (400, "LimitExceededException", "throttled", "message"),
     (400, "ThrottlingException", "throttled", "message"), (429, None, "throttled", "message"),
     (400, "MessageRejected:http://internal.amazon.com/", "permanent", "message"), (400, "BadRequestException", "permanent", "message"),
     (404, "NotFoundException", "permanent", "message"), (503, "BadRequestException", "permanent", "message"),
     (400, "AccountSuspendedException", "permanent", "account"), (400, "SendingPausedException", "permanent", "account"),
     (400, "MailFromDomainNotVerifiedException", "permanent", "account"), (403, "AccessDeniedException", "permanent", "account"),
     (403, "InvalidSignatureException", "permanent", "account"), (403, "UnrecognizedClientException", "permanent", "account"),
     (403, "NewException", "permanent", "account"), (400, "NewException", "permanent", "message"), (400, None, "permanent", "message"),
     (500, "InternalFailure", "transient", "message"), (503, None, "transient", "message"), (408, None, "transient", "message"),
     (307, None, "permanent", "account")],
)  # fmt: skip
@pytest.mark.parametrize("place", ["header", "body"])
def test_an_answer_is_judged_by_its_name_before_its_status(status, name, kind, scope, place):
    """The name stands in a header, with a suffix or without, or behind a namespace in the body."""
    headers = {"x-amzn-ErrorType": name} if name and place == "header" else {}
    body = {"__type": f"com.amazon#{name.partition(':')[0]}"} if name and place == "body" else {}
    outcome = ses.interpret(Response(status, headers, orjson.dumps({**body, "MessageId": "m1", "message": "why"})))

    assert (kind, scope) == (outcome.kind, outcome.scope)
    assert (("m1", "") if status == 200 else (None, "why")) == (outcome.provider_id, outcome.reason)
