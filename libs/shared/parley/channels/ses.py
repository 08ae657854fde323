"""Amazon SES: e-mail through its API v2, and its events through a topic of Amazon SNS.

Sources: AWS docs "Verifying the signatures of Amazon SNS messages", "Contents of event data that Amazon SES publishes to Amazon SNS",
"SendEmail" (API v2), "Amazon SNS message delivery retries".
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from parley import crypto, sigv4
from parley.channels.mail import ECHO, Event, address, mime, of_status, reference, variables, written
from parley.channels.shape import Account, Control, Forged, HttpRequest, Item, Malformed, Outgoing, Request, Response, Unkeyed
from parley.channels.text import document, items, mapping, retry_after, string
from parley.contracts import ConsentState, Content, Purpose, ReceiptStatus
from parley.failures import Class, Outcome

UNIT = "messages"
HONOURS_KEYS = False
CREDENTIALS = ("access_key_id", "secret_access_key", "region", "topic_arn")
SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
"""The members of an SNS envelope that its signature covers, in their order, where they are there."""
DIGESTS = MappingProxyType({"1": SHA1, "2": SHA256})
"""By `SignatureVersion`."""
OLDEST = timedelta(hours=1, seconds=crypto.TOLERANCE)
"""SNS repeats a message for an hour at most, under its first signature."""
RECEIPTS = MappingProxyType({
    "Send": ReceiptStatus.SENT, "Delivery": ReceiptStatus.DELIVERED, "DeliveryDelay": ReceiptStatus.DEFERRED,
    "Bounce": ReceiptStatus.FAILED, "Reject": ReceiptStatus.FAILED, "Rendering Failure": ReceiptStatus.FAILED,
})  # fmt: skip
SECTIONS = MappingProxyType({
    "Send": "send", "Delivery": "delivery", "DeliveryDelay": "deliveryDelay", "Bounce": "bounce", "Complaint": "complaint", "Reject": "reject",
    "Rendering Failure": "failure", "Open": "open", "Click": "click", "Subscription": "subscription",
})  # fmt: skip
"""Where an event keeps what it tells, by its type."""
PEOPLE = MappingProxyType({
    "Delivery": "recipients", "DeliveryDelay": "delayedRecipients", "Bounce": "bouncedRecipients", "Complaint": "complainedRecipients",
})  # fmt: skip
THROTTLED = frozenset({
    "TooManyRequestsException", "LimitExceededException", "ThrottlingException", "Throttling", "RequestLimitExceeded", "RequestThrottled",
})  # fmt: skip
ACCOUNT = frozenset({
    "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException", "AccessDeniedException", "AccessDenied",
    "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
    "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException",
    "OptInRequired", "RequestExpired", "NotAuthorized", "InvalidAccessKeyId",
})  # fmt: skip
"""Permanent, and no fault of the message: keys, rights and the state of the account."""
PERMANENT = frozenset({"MessageRejected", "BadRequestException", "NotFoundException", "ValidationError", "ValidationException"})
"""Named so that they stay permanent whatever the HTTP status; an unknown name follows the status."""
_HOST = r"https://sns\.[a-z0-9-]{3,}\.amazonaws\.com(?:\.cn)?/"
_CERTIFICATE = re.compile(_HOST + r"[A-Za-z0-9/_.-]+\.pem")
_CONFIRMATION = re.compile(_HOST + r"\?Action=ConfirmSubscription&[!-~]+")


def verify(request: Request, account: Account, now: datetime) -> None:
    """RSA over the members of the envelope, with the certificate that Amazon keeps at an address of its own, and nowhere else.

    Everybody may have a topic, and Amazon signs for them all: so only the topics that are ours may speak.
    """
    envelope = _envelope(request.body)
    topics = account.credentials.get("topic_arn", ())
    # A line break could move the border between two members; in the one that is free text it moves none.
    if not crypto.same(envelope.get("TopicArn", ""), topics) or any("\n" in envelope.get(name, "") for name in SIGNED[1:]):
        raise Forged
    at, url, digest = _when(envelope.get("Timestamp")), envelope.get("SigningCertURL", ""), DIGESTS.get(envelope.get("SignatureVersion", ""))
    if at is None or not -timedelta(seconds=crypto.TOLERANCE) <= now - at <= OLDEST or digest is None or not _CERTIFICATE.fullmatch(url):
        raise Forged
    if url not in request.keys:
        raise Unkeyed(url)
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in SIGNED if name in envelope)
    try:
        # Who vouches for the certificate is the connection over which it was fetched; it ends with Amazon.
        public = load_pem_x509_certificate(request.keys[url].encode()).public_key()
        if not isinstance(public, RSAPublicKey):
            raise Forged
        public.verify(base64.b64decode(envelope.get("Signature", ""), validate=True), signed.encode(), PKCS1v15(), digest())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise Forged from error


def handshake(request: Request, account: Account) -> Response | None:
    return None


def parse(request: Request, account: Account) -> Sequence[Item]:
    """What SES tells in the envelope's message, or what SNS wants for the subscription. Other messages (SNS trying the topic) make no item."""
    envelope = document(request.body)
    kind = string(envelope.get("Type"))
    if not kind:
        raise Malformed("`Type` is missing.")
    if kind == "SubscriptionConfirmation":
        url = string(envelope.get("SubscribeURL")) or ""
        if not _CONFIRMATION.fullmatch(url):
            raise Malformed("`SubscribeURL` is no address of Amazon SNS.")
        return [Control("subscription_confirmation", url)]
    if kind != "Notification":
        return []
    try:
        return list(_items(document((string(envelope.get("Message")) or "").encode()), envelope))
    except Malformed:
        return []


def answer() -> Response:
    return Response(200)


def build(message: Outgoing, account: Account) -> Sequence[HttpRequest]:
    """The one request, signed for this attempt. Our message id is a tag, which stands in every event of the configuration set."""
    region, mail = account.secret("region"), written(message, account)
    body: dict[str, Any] = {
        "FromEmailAddress": mail.from_,
        "Destination": {"ToAddresses": [message.address]},
        "Content": _content(message, account),
        "EmailTags": [{"Name": ECHO, "Value": str(message.message_id)}],
    }
    if sets := account.credentials.get("configuration_set"):
        body["ConfigurationSetName"] = sets[0]
    host = f"email.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    url = f"{account.base_url or f'https://{host}'}/v2/email/outbound-emails"
    key = {"idempotency-key": str(message.message_id)} if account.honours_keys else {}
    sent = orjson.dumps(body)
    headers = sigv4.signed("POST", url, {"content-type": "application/json", **key}, sent, _signer(account, region), message.at)
    return [HttpRequest("POST", url, headers, sent)]


def interpret(response: Response) -> Outcome:
    try:
        body = mapping(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        body = {}
    if 200 <= response.status < 300:
        return Outcome("accepted", provider_id=string(body.get("MessageId")))
    name = _name(response, body)
    kind = failure(name, response.status)
    refused = name not in PERMANENT and (response.status in (401, 403) or response.status < 400)
    return Outcome(
        kind,
        code=name or str(response.status),
        reason=(string(body.get("message")) or string(body.get("Message")) or "")[:200],
        retry_after=retry_after(response),
        scope="account" if kind == "permanent" and (name in ACCOUNT or refused) else "message",
    )


def failure(name: str | None, status: int = 400) -> Class:
    """The class of an error by its name; where that is none that we know, by the HTTP status."""
    if name in THROTTLED:
        return "throttled"
    return "permanent" if name in ACCOUNT | PERMANENT else of_status(status)


def segments(content: Content) -> int:
    return 1


# --- in ------------------------------------------------------------------------------------------------------------------------------


def _envelope(body: bytes) -> dict[str, str]:
    """The texts of the envelope as they were signed. What is no envelope carries no signature: `Forged`."""
    try:
        value = json.loads(body.decode())
        texts = {name: text for name, text in mapping(value).items() if isinstance(text, str)}
        "".join(texts.values()).encode()  # half a surrogate pair has no bytes that could be signed
    except (ValueError, RecursionError) as error:
        raise Forged from error
    return texts


def _items(event: dict[str, Any], envelope: dict[str, Any]) -> Iterator[Item]:
    word = string(event.get("eventType")) or string(event.get("notificationType")) or ""
    told, mail = mapping(event.get(SECTIONS.get(word, ""))), mapping(event.get("mail"))
    at = _when(told.get("timestamp")) or (_when(mail.get("timestamp")) if word == "Send" else None) or _when(envelope.get("Timestamp"))
    to = [one for one in map(address, _listed(mail.get("destination"))) if one]
    alone = to[0] if len(to) == 1 else None
    tag = next(iter(_listed(mapping(mail.get("tags")).get(ECHO))), None)
    about = (string(mail.get("messageId")) or None, reference(tag))

    def of(person: str | None) -> Event:
        return Event(*about, person, at, string(envelope.get("MessageId")))

    if word in RECEIPTS:
        for person, code in _people(word, told) or [(one, None) for one in to] or [(None, None)]:
            yield from of(person).receipt(RECEIPTS[word], code or _code(told), _failure(word, told))
    elif word == "Complaint":
        for person, _ in _people(word, told) or [(alone, None)]:
            yield from _complaint(of(person), told)
    elif word == "Subscription":
        yield from _subscription(of(alone), told)
    elif word in ("Open", "Click"):
        url = string(told.get("link")) if word == "Click" else None
        yield from of(alone).engaged("clicked" if word == "Click" else "opened", url, agent=string(told.get("userAgent")))


def _people(word: str, told: dict[str, Any]) -> list[tuple[str | None, str | None]]:
    """Whom an event names, each with its own status code: addresses, or objects with one."""
    named = _listed(told.get(PEOPLE.get(word, "")))
    found = [(one, {}) if isinstance(one, str) else (mapping(one).get("emailAddress"), mapping(one)) for one in named]
    return [(address(person), string(more.get("status"))) for person, more in found if address(person)]


def _failure(word: str, told: dict[str, Any]) -> Class | None:
    if word == "Bounce":
        return "permanent" if told.get("bounceType") == "Permanent" else "transient"
    return "permanent" if RECEIPTS[word] is ReceiptStatus.FAILED else None


def _code(told: dict[str, Any]) -> str | None:
    """The nearest thing to a code that an event has: of a bounce, a delay, a refusal, a template that could not be filled in."""
    return next((found for name in ("bounceSubType", "delayType", "reason", "errorMessage") if (found := string(told.get(name)))), None)


def _complaint(about: Event, told: dict[str, Any]) -> Iterator[Item]:
    """Somebody calls the message spam. `not-spam` says the opposite; a person on SES's own list had complained before, and got nothing now."""
    if told.get("complaintSubType") == "OnAccountSuppressionList":
        yield from about.receipt(ReceiptStatus.FAILED, "OnAccountSuppressionList", "opted_out", "spam_complaint")
    elif told.get("complaintFeedbackType") != "not-spam":
        yield from about.opted(ConsentState.REVOKED, "spam_complaint")


def _subscription(about: Event, told: dict[str, Any]) -> Iterator[Item]:
    """A contact list of SES was changed by the person: out of all mail, out of a topic, or, where every topic is wanted, in again."""
    wanted = mapping(told.get("newTopicPreferences"))
    topics = [one.get("subscriptionStatus") for one in items(wanted.get("topicSubscriptionStatus"))]
    if wanted.get("unsubscribeAll") is False and topics and set(topics) == {"OptIn"}:
        yield from about.opted(ConsentState.GRANTED, purposes=(Purpose.MARKETING,))
    else:
        some = wanted.get("unsubscribeAll") is False
        yield from about.opted(ConsentState.REVOKED, "unsubscribe", (Purpose.MARKETING,) if some else tuple(Purpose))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _when(value: object) -> datetime | None:
    """The time that an ISO 8601 text means; None without an offset."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


# --- out -----------------------------------------------------------------------------------------------------------------------------


def _content(message: Outgoing, account: Account) -> dict[str, Any]:
    """A template of SES, a text that SES wraps up, or, with HTML, the whole e-mail as we write it."""
    mail, template = written(message, account), message.content.template
    headers = {"Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()]} if mail.headers else {}
    if template is not None:
        return {"Template": {"TemplateName": template.name, "TemplateData": orjson.dumps(variables(template)).decode(), **headers}}
    if mail.html is not None:
        return {"Raw": {"Data": base64.b64encode(mime(mail, message.address, message.message_id, message.at)).decode()}}
    return {"Simple": {"Subject": _data(mail.subject), "Body": {"Text": _data(mail.text)}, **headers}}


def _data(text: str) -> dict[str, str]:
    """Without a character set, SES takes a text for ASCII."""
    return {"Data": text} if text.isascii() else {"Data": text, "Charset": "UTF-8"}


def _signer(account: Account, region: str) -> sigv4.Signer:
    token = account.credentials.get("session_token", ())
    return sigv4.Signer(account.secret("access_key_id"), account.secret("secret_access_key"), region, "ses", token[0] if token else None)


def _name(response: Response, body: Mapping[str, Any]) -> str | None:
    """The error's name: from the header, up to a colon, or from the body, after a hash sign."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    told = headers.get("x-amzn-errortype") or string(body.get("__type")) or string(body.get("code")) or ""
    return told.partition(":")[0].rpartition("#")[2].strip() or None
