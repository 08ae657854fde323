"""Our requests are those that the providers' own kits make for the same message: Twilio, Vonage, SendGrid, LINE, Infobip and Amazon SES.

Each kit is asked for the message in its own words, and what it would put on the wire is caught there; nothing leaves. LINE's and Infobip's models
also read what we build for any content, and must know every field of it.
"""

import base64
import io
import logging
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import infobip_api_client
import jwt
import orjson
import pytest
import requests
import urllib3
from botocore.awsrequest import AWSResponse
from botocore.session import Session
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from infobip_api_client import models as infobip_models
from linebot.v3 import messaging as line_messaging
from sendgrid import SendGridAPIClient
from sendgrid.helpers import mail as sendgrid_mail
from twilio.http import HttpClient as TwilioHttp
from twilio.http.response import Response as TwilioResponse
from twilio.rest import Client as Twilio
from vonage_http_client import Auth, HttpClient
from vonage_messages import Messages
from vonage_messages import models as vonage_models

from parley.channels import PROVIDERS
from parley.channels.shape import Account, Outgoing
from parley.contracts import Card, Channel, Choice, Content, Media, Template
from tests.pushing import pem

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OURS, HOOK = UUID(int=7), "https://hooks.example.com/hooks/a"
FROM, TO = "+12025550100", "+12025550143"
FILE = "https://files.example.com/hat.jpg"
SECRETS = {
    "account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token": "t", "api_key": "k", "api_secret": "s", "channel_access_token": "t",
    "access_key_id": "AKIDEXAMPLE", "secret_access_key": "s", "region": "eu-west-1",
}  # fmt: skip
PICTURE = Media(kind="image", url=FILE, content_type="image/jpeg")
CHOICES = (Choice(id="a", title="9am"), Choice(id="b", title="10am"))
CARDS = (Card(title="Hat", text="Warm", image=FILE, url="https://shop.example.com/hat"), Card(title="Scarf"))


@dataclass(frozen=True)
class Sent:
    """A request as it would go over the wire: header names in lower case, the body read."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any

    @classmethod
    def of(cls, method: str, url: str, headers: Any, body: Any) -> "Sent":
        plain = {name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in dict(headers).items()}
        text = body.decode() if isinstance(body, bytes) else body
        is_form = "form" in plain.get("content-type", "")
        return cls(method, url, plain, sorted(parse_qsl(text, keep_blank_values=True)) if is_form else orjson.loads(text))

    def on(self, *names: str) -> tuple[Any, ...]:
        """Method, address, the headers that are named, and the body."""
        return self.method, self.url, {name: self.headers.get(name) for name in names}, self.body


def account(provider: str, channel: Channel, sender: str = FROM) -> Account:
    return Account("a", "t", provider, channel, sender, {name: (value,) for name, value in SECRETS.items()})


def ours(provider: str, channel: Channel, content: Content, to: str = TO, sender: str = FROM, **more: Any) -> list[Sent]:
    message = Outgoing(OURS, to, content, NOW, HOOK, **more)
    return [Sent.of(one.method, one.url, one.headers, one.body) for one in PROVIDERS[provider].build(message, account(provider, channel, sender))]


# --- Twilio ------------------------------------------------------------------------------------------------------------------------------


class Caught(TwilioHttp):
    """Twilio's kit asks it to make a request; it keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=False)

    def request(
        self, method: str, url: str, params: Any = None, data: Any = None, headers: Any = None, auth: Any = None, **more: Any
    ) -> TwilioResponse:
        prepared = requests.Request(method, url, params=params, data=data, headers=headers, auth=auth).prepare()
        self.sent = Sent.of(prepared.method, prepared.url, prepared.headers, prepared.body)
        return TwilioResponse(201, '{"sid": "SM1"}')


def twilio(**fields: Any) -> Sent:
    caught = Caught()
    Twilio(SECRETS["account_sid"], SECRETS["auth_token"], http_client=caught).messages.create(status_callback=f"{HOOK}?m={OURS}", **fields)
    return caught.sent


WHATSAPP = {"from_": f"whatsapp:{FROM}", "to": f"whatsapp:{TO}"}
TWILIO: dict[str, tuple[Channel, Content, list[dict[str, Any]]]] = {
    "text": (Channel.SMS, Content(text="héllo 안녕 & = +"), [{"from_": FROM, "to": TO, "body": "héllo 안녕 & = +"}]),
    "long text": (Channel.SMS, Content(text="a" * 2000), [{"from_": FROM, "to": TO, "body": "a" * 1600}, {"from_": FROM, "to": TO, "body": "a" * 400}]),
    "media": (Channel.MMS, Content(text="look", media=(PICTURE, PICTURE)), [{"from_": FROM, "to": TO, "body": "look", "media_url": [FILE, FILE]}]),
    "media alone": (Channel.MMS, Content(media=(PICTURE,)), [{"from_": FROM, "to": TO, "media_url": [FILE]}]),
    "choices": (Channel.SMS, Content(text="When?", choices=CHOICES), [{"from_": FROM, "to": TO, "body": "When?\n1. 9am\n2. 10am"}]),
    "whatsapp": (Channel.WHATSAPP, Content(text="look", media=(PICTURE,)), [{**WHATSAPP, "body": "look", "media_url": [FILE]}]),
    "template": (
        Channel.WHATSAPP, Content(template=Template(name="HX0123456789abcdef0123456789abcdef", language="ko", parameters=("Kim", "9am"))),
        [{**WHATSAPP, "content_sid": "HX0123456789abcdef0123456789abcdef", "content_variables": '{"1":"Kim","2":"9am"}'}],
    ),
    "cards": (
        Channel.MMS, Content(cards=CARDS),
        [{"from_": FROM, "to": TO, "body": "Hat – Warm – https://shop.example.com/hat\nScarf", "media_url": [FILE]}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TWILIO)
def test_twilios_kit_makes_the_same_requests(case):
    """Address, credentials and every field of the form."""
    channel, content, theirs = TWILIO[case]
    about = ("authorization", "content-type")

    assert [twilio(**one).on(*about) for one in theirs] == [one.on(*about) for one in ours("twilio", channel, content)]


def test_twilios_kit_says_a_service_and_how_long_as_we_do():
    service = "MG0123456789abcdef0123456789abcdef"
    expected = twilio(messaging_service_sid=service, to=TO, body="hi", validity_period=3600)
    (got,) = ours("twilio", Channel.SMS, Content(text="hi"), sender=service, valid_for=timedelta(hours=1))

    assert expected.on("authorization") == got.on("authorization")


# --- Vonage ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def vonage(monkeypatch) -> Callable[..., Sent]:
    """What Vonage's kit sends for one of its models."""
    caught: list[Sent] = []

    def send(adapter: object, request: requests.PreparedRequest, **more: object) -> requests.Response:
        caught.append(Sent.of(request.method, request.url, request.headers, request.body))
        response = requests.Response()
        response.status_code, response.raw = 202, io.BytesIO(b'{"message_uuid": "u"}')
        response.headers["content-type"] = "application/json"
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    messages = Messages(HttpClient(Auth(api_key=SECRETS["api_key"], api_secret=SECRETS["api_secret"])))

    def made(model: Any) -> Sent:
        messages.send(model)
        return caught.pop()

    return made


def of_vonage(kind: Any, to: str = TO[1:], sender: str = FROM[1:], **fields: Any) -> Any:
    return kind(to=to, from_=sender, client_ref=str(OURS), webhook_url=HOOK, webhook_version="v1", **fields)


V = vonage_models
BUTTONS = {"type": "interactive", "interactive": {"type": "button", "body": {"text": "When?"}, "action": {"buttons": [
    {"type": "reply", "reply": {"id": "a", "title": "9am"}}, {"type": "reply", "reply": {"id": "b", "title": "10am"}}]}}}  # fmt: skip
VONAGE: dict[str, tuple[Channel, Content, list[Any]]] = {
    "sms": (Channel.SMS, Content(text="héllo"), [of_vonage(V.Sms, text="héllo")]),
    "sms, for a while": (Channel.SMS, Content(text="hi"), [of_vonage(V.Sms, text="hi", ttl=3600)]),
    "mms": (Channel.MMS, Content(text="look", media=(PICTURE,)),
            [of_vonage(V.MmsImage, image=V.MmsResource(url=FILE)), of_vonage(V.MmsText, text="look")]),
    "whatsapp": (Channel.WHATSAPP, Content(text="hi"), [of_vonage(V.WhatsappText, text="hi")]),
    "whatsapp media": (
        Channel.WHATSAPP, Content(media=(PICTURE, Media(kind="document", url=FILE), Media(kind="audio", url=FILE), Media(kind="video", url=FILE)), text="x"),
        [of_vonage(V.WhatsappImage, image=V.WhatsappImageResource(url=FILE)), of_vonage(V.WhatsappFile, file=V.WhatsappFileResource(url=FILE)),
         of_vonage(V.WhatsappAudio, audio=V.WhatsappAudioResource(url=FILE)), of_vonage(V.WhatsappVideo, video=V.WhatsappVideoResource(url=FILE)),
         of_vonage(V.WhatsappText, text="x")],
    ),
    "choices": (Channel.WHATSAPP, Content(text="When?", choices=CHOICES), [of_vonage(V.WhatsappCustom, custom=BUTTONS)]),
    "template": (
        Channel.WHATSAPP, Content(template=Template(name="shop:hello", language="en_GB", parameters=("Kim",))),
        [of_vonage(V.WhatsappTemplate, template=V.WhatsappTemplateResource(name="shop:hello", parameters=["Kim"]),
                   whatsapp=V.WhatsappTemplateSettings(locale="en_GB", policy="deterministic"))],
    ),
    "messenger": (Channel.MESSENGER, Content(text="hi", media=(PICTURE,)),
                  [of_vonage(V.MessengerImage, image=V.MessengerResource(url=FILE)), of_vonage(V.MessengerText, text="hi")]),
    "rcs": (Channel.RCS, Content(text="When?", choices=CHOICES), [of_vonage(V.RcsText, text="When?", suggestions=[
        V.RcsSuggestionReply(text="9am", postback_data="a"), V.RcsSuggestionReply(text="10am", postback_data="b")])]),
    "cards": (Channel.SMS, Content(cards=CARDS), [of_vonage(V.Sms, text="Hat – Warm – https://shop.example.com/hat\nScarf")]),
}  # fmt: skip


@pytest.mark.parametrize("case", VONAGE)
def test_vonages_kit_makes_the_same_requests(case, vonage):
    """Address, credentials and every field, in order."""
    channel, content, theirs = VONAGE[case]
    asked = {"valid_for": timedelta(hours=1)} if "while" in case else {}
    about = ("authorization", "content-type", "accept")

    assert [vonage(one).on(*about) for one in theirs] == [one.on(*about) for one in ours("vonage", channel, content, **asked)]


def test_vonages_kit_proves_an_application_as_we_do():
    """A token of the same algorithm with the same claims."""
    key = pem(rsa.generate_private_key(65537, 2048))
    one = account("vonage", Channel.SMS)
    mine = replace(one, credentials={**one.credentials, "application_id": ("app",), "private_key": (key,)})
    (built,) = PROVIDERS["vonage"].build(Outgoing(OURS, TO, Content(text="hi"), NOW), mine)
    theirs = Auth(application_id="app", private_key=key).create_jwt_auth_string().decode()
    scheme, ours = built.headers["authorization"].split()

    assert ("Bearer", *shape(theirs.removeprefix("Bearer ")), "app") == (scheme, *shape(ours), claims(ours)["application_id"])


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def shape(token: str) -> tuple[str, list[str]]:
    return jwt.get_unverified_header(token)["alg"], sorted(claims(token))


# --- SendGrid ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sendgrid(monkeypatch) -> Callable[[sendgrid_mail.Mail], Sent]:
    caught: list[Sent] = []

    def send(opener: object, request: urllib.request.Request, *more: object, **others: object) -> io.BytesIO:
        caught.append(Sent.of(request.get_method(), request.full_url, request.header_items(), request.data))
        response = io.BytesIO(b"")
        response.getcode, response.info = lambda: 202, dict  # type: ignore[attr-defined]
        return response

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", send)

    def made(mail: sendgrid_mail.Mail) -> Sent:
        SendGridAPIClient(SECRETS["api_key"]).send(mail)
        return caught.pop()

    return made


def of_sendgrid(**fields: Any) -> sendgrid_mail.Mail:
    mail = sendgrid_mail.Mail(from_email=sendgrid_mail.From("hello@acme.example", "Acme Tea"), **fields)
    person = sendgrid_mail.Personalization()
    person.add_to(sendgrid_mail.To("kim@example.com"))
    person.add_custom_arg(sendgrid_mail.CustomArg("platform_ref", str(OURS)))
    mail.add_personalization(person)
    return mail


def test_sendgrids_kit_makes_the_same_e_mail(sendgrid):
    """Text with choices and a picture's address, and the headers that unsubscribe."""
    content = Content(text="Half price\n\nAll hats.", choices=CHOICES, media=(PICTURE,))
    mail = of_sendgrid(subject="Half price", plain_text_content=f"All hats.\n\n1. 9am\n2. 10am\n\n{FILE}")
    mail.add_header(sendgrid_mail.Header("List-Unsubscribe", "<https://hooks.example.com/u/x>"))
    mail.add_header(sendgrid_mail.Header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    (got,) = ours(
        "sendgrid", Channel.EMAIL, content, "kim@example.com", "Acme Tea <hello@acme.example>", unsubscribe_url="https://hooks.example.com/u/x"
    )

    assert sendgrid(mail).on("authorization", "content-type") == got.on("authorization", "content-type")


def test_sendgrids_kit_makes_the_same_e_mail_in_html(sendgrid):
    """The plain text before the HTML, as its kit puts them."""
    content = Content(subject="Half price", html="<p>All <b>hats</b>.</p>", text="All hats.")
    (got,) = ours("sendgrid", Channel.EMAIL, content, "kim@example.com", "Acme Tea <hello@acme.example>")
    html = next(one["value"] for one in got.body["content"] if one["type"] == "text/html")
    mail = of_sendgrid(subject="Half price", plain_text_content="All hats.", html_content=html)

    assert "<b>hats</b>" in html and sendgrid(mail).on("authorization", "content-type") == got.on("authorization", "content-type")


def test_sendgrids_kit_fills_a_template_as_we_do(sendgrid):
    mail = of_sendgrid()
    mail.template_id = sendgrid_mail.TemplateId("d-1")
    mail.personalizations[0].dynamic_template_data = {"p1": "Kim", "language": "ko"}
    content = Content(template=Template(name="d-1", language="ko", parameters=("Kim",)))
    (got,) = ours("sendgrid", Channel.EMAIL, content, "kim@example.com", "Acme Tea <hello@acme.example>")

    assert sendgrid(mail).on("authorization", "content-type") == got.on("authorization", "content-type")


# --- LINE and Infobip: kits with models, made from the providers' OpenAPI documents --------------------------------------------------------


@pytest.fixture
def pooled(monkeypatch) -> Callable[[Callable[[], object]], Sent]:
    """What a kit over urllib3 sends."""
    caught: list[Sent] = []

    def send(pool: object, method: str, url: str, redirect: bool = True, **more: Any) -> urllib3.HTTPResponse:
        caught.append(Sent.of(method, url, more["headers"], more["body"]))
        return urllib3.HTTPResponse(
            b'{"sentMessages": [{"id": "1"}], "messages": []}', {"content-type": "application/json"}, 200, preload_content=True
        )

    monkeypatch.setattr(urllib3.PoolManager, "urlopen", send)

    def made(call: Callable[[], object]) -> Sent:
        call()
        return caught.pop()

    return made


L = line_messaging
LINE: dict[str, tuple[Content, list[Any]]] = {
    "text": (Content(text="héllo 안녕"), [L.TextMessage(text="héllo 안녕")]),
    "media": (Content(text="look", media=(PICTURE,)), [L.ImageMessage(originalContentUrl=FILE, previewImageUrl=FILE), L.TextMessage(text="look")]),
    "sticker": (Content(media=(Media(kind="sticker", provider_id="446/1988"),)), [L.StickerMessage(packageId="446", stickerId="1988")]),
    "choices": (Content(text="When?", choices=CHOICES), [L.TextMessage(text="When?", quickReply=L.QuickReply(items=[
        L.QuickReplyItem(action=L.PostbackAction(label=one.title, data=one.id, displayText=one.title)) for one in CHOICES]))]),
    "cards": (Content(cards=CARDS[1:]), [L.FlexMessage(altText="Scarf", contents=L.FlexCarousel(contents=[
        L.FlexBubble(body=L.FlexBox(layout="vertical", spacing="sm", contents=[L.FlexText(text="Scarf", weight="bold", wrap=True)]))]))]),
}  # fmt: skip


def without_nothing(value: Any) -> Any:
    """Without members that say nothing: a kit may write null for what is not set."""
    if isinstance(value, dict):
        return {name: without_nothing(one) for name, one in value.items() if one is not None}
    return [without_nothing(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", LINE)
def test_lines_kit_makes_the_same_push(case, pooled):
    """Address, token, retry key and message objects. The kit says beside it that the phone may sound, which is so anyway."""
    content, messages = LINE[case]
    api = L.MessagingApi(L.ApiClient(L.Configuration(access_token=SECRETS["channel_access_token"])))
    push = L.PushMessageRequest(to="U1", messages=messages)
    theirs = pooled(lambda: api.push_message(push, x_line_retry_key=str(OURS)))
    (got,) = ours("line", Channel.LINE, content, "U1")
    body = without_nothing(theirs.body)

    assert body.pop("notificationDisabled", False) is False
    assert replace(theirs, body=body).on("authorization", "content-type", "x-line-retry-key") == got.on(
        "authorization", "content-type", "x-line-retry-key"
    )


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(str.strip)
urls = st.sampled_from([FILE, "https://shop.example.com/hat?a=1"])
contents = st.builds(
    Content,
    text=words,
    media=st.lists(st.builds(Media, kind=st.sampled_from(["image", "audio", "video", "document"]), url=urls), max_size=3).map(tuple),
    choices=st.lists(st.builds(Choice, id=words, title=words), max_size=14).map(tuple),
    cards=st.lists(st.builds(Card, title=words, text=words, image=st.none() | urls, url=st.none() | urls), max_size=13).map(tuple),
)


@given(contents)
def test_lines_models_know_every_field_that_we_send(content):
    """Read by the kit and written again, nothing is lost: there is no field that LINE does not publish, and none of another type."""
    for one in ours("line", Channel.LINE, content, "U1"):
        read = L.PushMessageRequest.from_dict(one.body)

        assert one.body == within(without_nothing(read.to_dict()), one.body)


def within(whole: Any, like: Any) -> Any:
    """Of the whole only what the other has, too: the kit adds what it takes for granted."""
    if isinstance(whole, dict) and isinstance(like, dict):
        return {name: within(whole[name], like[name]) for name in like if name in whole}
    if isinstance(whole, list) and isinstance(like, list) and len(whole) == len(like):
        return [within(one, other) for one, other in zip(whole, like, strict=True)]
    return whole


I = infobip_models  # noqa: E741
INFOBIP: dict[str, tuple[Content, list[str]]] = {
    "text": (Content(text="héllo 안녕"), ["héllo 안녕"]),
    "long text": (Content(text="a" * 900), ["a" * 800, "a" * 100]),
    "choices": (Content(text="When?", choices=CHOICES), ["When?\n1. 9am\n2. 10am"]),
    "cards": (Content(cards=CARDS), ["Hat – Warm – https://shop.example.com/hat\nScarf"]),
}


def of_infobip(text: str, place: int, options: I.SmsMessageOptions | None = None) -> I.SmsRequest:
    message = I.SmsMessage(
        sender=FROM[1:], destinations=[I.SmsDestination(to=TO[1:], messageId=f"{OURS}{f'-{place}' if place else ''}")],
        content=I.SmsMessageContent(I.SmsTextContent(text=text)), options=options,
        webhooks=I.SmsWebhooks(delivery=I.SmsMessageDeliveryReporting(url=HOOK, intermediateReport=True), contentType="application/json"),
    )  # fmt: skip
    return I.SmsRequest(messages=[message])


def infobip() -> infobip_api_client.SmsApi:
    return infobip_api_client.SmsApi(infobip_api_client.ApiClient(infobip_api_client.Configuration(host="https://api.infobip.com", api_key="k")))


@pytest.mark.parametrize("case", INFOBIP)
def test_infobips_kit_makes_the_same_sms(case, pooled):
    """Address, key, and the message with its id, its text and its reports. The kit writes what it takes for granted, which says nothing more."""
    content, texts = INFOBIP[case]
    theirs = [pooled(lambda text=text, place=place: infobip().send_sms_messages(of_infobip(text, place))) for place, text in enumerate(texts)]
    got = ours("infobip", Channel.SMS, content)
    about = ("authorization", "content-type", "accept")

    assert [one.on(*about) for one in got] == [
        replace(one, body=within(one.body, mine.body)).on(*about) for one, mine in zip(theirs, got, strict=True)
    ]


def test_infobips_kit_says_how_long_as_we_do(pooled):
    options = I.SmsMessageOptions(validityPeriod=I.ValidityPeriod(amount=3600, timeUnit=I.ValidityPeriodTimeUnit.SECONDS))
    theirs = pooled(lambda: infobip().send_sms_messages(of_infobip("hi", 0, options)))
    (got,) = ours("infobip", Channel.SMS, Content(text="hi"), valid_for=timedelta(hours=1))

    assert got.body == within(theirs.body, got.body)


@given(contents.filter(lambda one: not one.media), st.none() | st.timedeltas())
def test_infobips_models_know_every_field_that_we_send(content, valid_for):
    """Read by the kit and written again, nothing is lost."""
    for one in ours("infobip", Channel.SMS, content, valid_for=valid_for):
        assert one.body == within(without_nothing(I.SmsRequest.from_dict(one.body).to_dict()), one.body)


# --- Amazon SES: botocore carries Amazon's own description of the API ------------------------------------------------------------------------


def ses(**fields: Any) -> Sent:
    """What botocore sends after it has checked the fields against the description."""
    caught: list[Sent] = []

    def send(request: Any, **more: object) -> AWSResponse:
        caught.append(Sent.of(request.method, request.url, request.headers, request.body))
        return AWSResponse(request.url, 200, {}, urllib3.HTTPResponse(io.BytesIO(b'{"MessageId": "m"}'), preload_content=False))

    client = Session().create_client("sesv2", "eu-west-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="s")
    client.meta.events.register("before-send.sesv2.SendEmail", send)
    client.send_email(**fields)
    return caught.pop()


ADDRESSED = {"FromEmailAddress": "Acme Tea <hello@acme.example>", "Destination": {"ToAddresses": ["kim@example.com"]},
             "EmailTags": [{"Name": "platform_ref", "Value": str(OURS)}]}  # fmt: skip
SES: dict[str, tuple[Content, dict[str, Any]]] = {
    "text": (Content(text="Half price\n\nAll hats."), {"Simple": {"Subject": {"Data": "Half price"}, "Body": {"Text": {"Data": "All hats."}}}}),
    "korean": (Content(text="할인"), {"Simple": {"Subject": {"Data": "할인", "Charset": "UTF-8"}, "Body": {"Text": {"Data": "할인", "Charset": "UTF-8"}}}}),
    "template": (Content(template=Template(name="hello", language="ko", parameters=("Kim",))),
                 {"Template": {"TemplateName": "hello", "TemplateData": '{"p1":"Kim","language":"ko"}'}}),
}  # fmt: skip


@pytest.mark.parametrize("case", SES)
def test_amazons_kit_makes_the_same_e_mail(case):
    """Address and body, the fields checked against Amazon's own description."""
    content, said = SES[case]
    (got,) = ours("ses", Channel.EMAIL, content, "kim@example.com", "Acme Tea <hello@acme.example>")
    theirs = ses(**ADDRESSED, Content=said)

    assert (theirs.method, theirs.url, theirs.body) == (got.method, got.url, got.body)


def test_amazons_kit_sends_html_as_a_whole_e_mail_as_we_do():
    """The message as the standard library wrote it, in the base64 of the description."""
    content = Content(subject="Half price", html="<p>All <b>hats</b>.</p>")
    (got,) = ours("ses", Channel.EMAIL, content, "kim@example.com", "Acme Tea <hello@acme.example>")
    raw = base64.b64decode(got.body["Content"]["Raw"]["Data"])

    assert b"Subject: Half price" in raw and ses(**ADDRESSED, Content={"Raw": {"Data": raw}}).body == got.body
