"""Tracked links in every part of a message, on the tenant's own domain, and the picture that counts an open."""

import re
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.config import Tenant, load
from parley.contracts import Card, Channel, Content, Envelope, MessageRequested, Template
from parley.policies import Policies
from parley.yamlfile import ConfigError
from parley_sender import packs
from parley_sender.accept import accepted, minted
from parley_sender.law import Law
from parley_sender.links import base_of, code, opening, tracked_content, tracked_html

MESSAGE, SECRET, BASE = UUID(int=7), b"s", "https://go.acme.example"
ACCOUNTS = """
tenants:
  acme: {links: https://go.acme.example}
accounts:
  mail:
    tenant: acme
    provider: sendgrid
    channel: email
    sender: hello@acme.example
    credentials: {api_key: "env:X", public_key: "env:X"}
"""


def coded(place: int | str) -> str:
    return code(SECRET, MESSAGE, place)


@pytest.mark.parametrize(
    "html, address, after",
    [
        ('<a href="https://x.example/?a=1&amp;b=2">x</a>', "https://x.example/?a=1&b=2", '<a href="{}">x</a>'),
        ("<A class=b HREF='https://x.example' target=_blank>x</A>", "https://x.example", '<A class=b href="{}" target=_blank>x</A>'),
        ("<a\nhref=HTTPS://x.example>x</a>", "HTTPS://x.example", '<a\nhref="{}">x</a>'),
        ('<a title="a>b href=z" data-href="https://y.example" href=" https://x.example ">x</a>', "https://x.example",
         '<a title="a>b href=z" data-href="https://y.example" href="{}">x</a>'),
    ],
)  # fmt: skip
def test_an_anchor_leads_over_us(html, address, after):
    assert (after.format(f"{BASE}/l/{coded(0)}"), {coded(0): address}) == tracked_html(html, MESSAGE, SECRET, BASE)


@pytest.mark.parametrize(
    "html",
    ['<img src="https://x.example/a.png">', '<a href="mailto:a@x.example">', '<a href="#top">', '<a name="https://x.example">', "https://x.example",
     f'<a href="{BASE}/u/7">', '<abbr href="https://x.example">', '<a href="https://x.example', '<link href="https://x.example/a.css">'],
)  # fmt: skip
def test_what_no_person_follows_stays(html):
    """Pictures, styles, addresses of other kinds, our own links, and markup that is none."""
    assert (html, {}) == tracked_html(html, MESSAGE, SECRET, BASE)


def test_every_part_has_links_of_its_own():
    """Text, cards and HTML, in this order, each link with its own place and code; at the end of the HTML the picture that counts an open."""
    html = '<body><a href="https://x.example/1"></body>'
    content = Content(text="https://x.example/1", cards=(Card(title="a", url="https://x.example/2"), Card(title="b")), html=html)
    found, links = tracked_content(content, MESSAGE, SECRET, BASE)

    assert [f"https://x.example/{place}" for place in (1, 2, 1)] == list(links.values()) and [coded(place) for place in (0, 1, 2)] == list(links)
    picture = f'<img src="{BASE}/o/{coded("open")}.gif" width="1" height="1" alt="" style="border:0">'

    assert [f"{BASE}/l/{coded(place)}" for place in (0, 1)] == [found.text, found.cards[0].url] and found.cards[1].url is None
    assert f'<body><a href="{BASE}/l/{coded(2)}">{picture}</body>' == found.html


@pytest.mark.parametrize("content", [Content(html="x" * 262_100), Content(text="http://x " * 7000)])
def test_a_message_that_its_links_make_too_long_is_refused(content):
    """Else it could be queued and never be read again."""
    with pytest.raises(ValueError, match="with its tracked links it has"):
        tracked_content(content, MESSAGE, SECRET, BASE)


@given(st.uuids(), st.uuids())
def test_nobody_meets_anothers_link(one, other):
    """Each recipient has a message of its own, so links of its own; neither guesses the other's, nor ours the picture's from the link's."""
    html = '<a href="https://x.example">'
    codes = [set(tracked_html(html, message, SECRET, BASE)[1]) | {code(SECRET, message, "open")} for message in (one, other)]

    assert (one == other) == bool(codes[0] & codes[1]) and 2 == len(codes[0]) and all(re.fullmatch("[0-9A-Za-z]{12}", each) for each in codes[0])


@pytest.mark.parametrize("own, expected", [(None, "https://p.example"), ("https://go.acme.example", "https://go.acme.example")])
def test_links_stand_on_the_domain_of_the_tenant(own, expected):
    assert expected == base_of(Tenant("acme", ZoneInfo("UTC"), ("en",), links=own), "https://p.example/")
    assert "https://p.example" == base_of(None, "https://p.example/")


def test_the_domain_stands_in_the_configuration(tmp_path):
    (tmp_path / "accounts.yaml").write_text("tenants:\n  acme: {links: https://go.acme.example/s/}\n")

    assert "https://go.acme.example/s" == load(tmp_path).tenants["acme"].links


@pytest.mark.parametrize("wrong", ["go.acme.example", "https://go.acme.example/?a=", "ftp://go.acme.example", "https://go acme"])
def test_a_domain_that_is_none_is_refused(wrong, tmp_path):
    """With its line."""
    (tmp_path / "accounts.yaml").write_text(f'tenants:\n  acme: {{links: "{wrong}"}}\n')
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)

    assert f"accounts.yaml:2: tenants.acme.links: links stand below an address as https://go.shop.example, without a query; not {wrong!r}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "content, campaign, channel, counted",
    [(Content(html="x"), "c", Channel.EMAIL, True), (Content(html="x"), None, Channel.EMAIL, False), (Content(text="x"), "c", Channel.EMAIL, False),
     (Content(html="x", text="x"), "c", Channel.SMS, False), (Content(html="x", template=Template(name="t", language="en")), "c", Channel.EMAIL, False)],
)  # fmt: skip
def test_opens_are_counted_for_campaigns_in_html(content, campaign, channel, counted):
    """Where there is nothing to show a picture, there is no code for one."""
    assert (code(SECRET, MESSAGE, "open") if counted else None) == opening(content, campaign, channel, MESSAGE, SECRET)


def test_a_mail_of_a_campaign_leaves_with_the_links_of_its_tenant(tmp_path):
    """From the request on: links and picture on the tenant's domain, each minted, so that ingest knows where it leads."""
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    config = load(tmp_path, {"X": "x"})
    request = MessageRequested(
        contact_id=UUID(int=1), message_id=MESSAGE, purpose="transactional", channels=("email",), addresses={Channel.EMAIL: "jo@b.example"}, campaign="c",
        content=Content(subject="Tea", html='<a href="https://x.example/1">Tea</a>'),
    )  # fmt: skip
    event = Envelope(id="e", source="test", time=datetime(2026, 11, 25, tzinfo=UTC), tenant="acme", data=request)
    taken = accepted(event, request, Law(config, Policies(), packs.load()), SECRET, "https://p.example")

    assert f'<a href="{BASE}/l/{coded(0)}">Tea</a><img src="{BASE}/o/{coded("open")}.gif"' == taken.content.html.partition(" width")[0]
    assert {coded(0): "https://x.example/1", coded("open"): ""} == {one.code: one.url for one in minted(taken, event.time)}
