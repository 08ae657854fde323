"""What the dashboards say and who may see them: values, and HTTP without a browser."""

import asyncio
import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import aiohttp
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from parley import service
from parley.config import Config, Key
from parley.local import free_port
from parley_analytics.app import SERVICE
from parley_analytics.pages import asked, signin, talk_files, words
from parley_analytics.pages.asked import Unusable
from parley_analytics.pages.charts import buckets
from parley_analytics.pages.figures import amounts, duration, interval, share, short
from parley_analytics.pages.frame import PATHS
from parley_analytics.pages.marks import scale, strip
from parley_analytics.pages.names import preferred
from parley_analytics.pages.rendering import FILES, Templates
from parley_analytics.pages.words import BOTH, filled
from parley_analytics.rates import wilson
from parley_analytics.talks_kpis import COUNTS, kpis
from parley_analytics.talks_report import Asked, Row, Summary
from tests.ingesting import write_accounts
from tests.looking import NOW, fill, pages, talk

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
SECRET = b"secret"
KEY = Key("people", "acme", frozenset(["rates:read"]), b"digest")
CONFIG = Config({}, {}, (KEY,))


# --- signing in ---


def test_a_cookie_is_the_key_until_the_day_is_over():
    """Twelve hours, and not a second longer."""
    cookie = signin.minted(KEY, SECRET, NOW)
    found = [signin.holder(cookie, CONFIG, SECRET, NOW + signin.LASTS + timedelta(seconds=late)) for late in (-1, 0)]

    assert [KEY, None] == found


@pytest.mark.parametrize("changed", [{"digest": b"other"}, {"name": "somebody"}])
def test_a_key_that_is_changed_or_gone_ends_its_sign_ins(changed):
    """The cookie is bound to the key as it was."""
    config = Config({}, {}, (Key(**{"name": "people", "tenant": "acme", "scopes": KEY.scopes, "digest": b"digest"} | changed),))

    assert signin.holder(signin.minted(KEY, SECRET, NOW), config, SECRET, NOW) is None


@given(st.text(max_size=400))
def test_no_other_text_is_a_cookie(text):
    """Whatever stands in it: nobody is let in, and nothing breaks."""
    assert signin.holder(text, CONFIG, SECRET, NOW) is None


def test_a_cookie_that_is_touched_is_none():
    """Each of its characters counts."""
    cookie = signin.minted(KEY, SECRET, NOW)
    touched = [cookie[:place] + ("0" if cookie[place] != "0" else "1") + cookie[place + 1 :] for place in range(len(cookie))]

    assert {None} == {signin.holder(one, CONFIG, SECRET, NOW) for one in touched}


@pytest.mark.parametrize(
    "told, goes",
    [
        ("/campaigns?range=7d", "/campaigns?range=7d"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(told, goes):
    """A link that begins here ends here."""
    assert goes == signin.inside(told)


# --- what is asked ---


def test_without_filters_it_is_thirty_days_of_the_tenant():
    """From midnight there, until the quarter of an hour that is running."""
    found = asked.read({}, SEOUL, NOW)

    assert (datetime(2026, 10, 26, tzinfo=SEOUL), NOW.replace(minute=45), "day") == (found.since, found.until, found.bucket)


def test_through_a_day_is_until_its_end():
    """People count the last day in."""
    found = asked.read({"from": "2026-11-01", "through": "2026-11-02"}, SEOUL, NOW)

    assert (datetime(2026, 11, 1, tzinfo=SEOUL), datetime(2026, 11, 3, tzinfo=SEOUL), "hour") == (found.since, found.until, found.bucket)


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        ({"range": "forever"}, "unusable_range"),
        ({"from": "yesterday"}, "unusable_day"),
        ({"from": "1888-01-01"}, "unusable_day"),
        ({"from": "2026-11-24", "through": "2026-11-23"}, "unusable_order"),
        ({"from": "2020-01-01", "through": "2026-11-23"}, "unusable_span"),
        ({"bucket": "hour"}, "unusable_bucket"),
        ({"bucket": "minute"}, "unusable_bucket"),
        ({"channel": "x" * 201}, "unusable_text"),
        ({"q": "a\0b"}, "unusable_text"),
    ],
)
def test_a_filter_that_cannot_be_used_is_explained(parameters, sentence):
    """By a sentence that there is in both languages."""
    with pytest.raises(Unusable) as error:
        asked.read(parameters, SEOUL, NOW)

    assert sentence == error.value.sentence
    assert error.value.sentence in BOTH


@given(
    st.dictionaries(st.sampled_from(["range", "from", "through", "bucket", "channel", "q"]), st.one_of(st.text(), st.dates().map(str)), max_size=4)
)
def test_any_address_is_a_page_or_a_sentence(parameters):
    """Nothing that stands in an address breaks a page."""
    try:
        found = asked.read(parameters, SEOUL, NOW)
        said = "" if found.since < found.until else "a time that ends before it begins"
    except Unusable as error:
        said = "" if error.sentence in BOTH else error.sentence

    assert said == ""


@given(st.integers(0, 3650 * 24), st.sampled_from([SEOUL, BERLIN]), st.sampled_from(["hour", "day", "week", "month"]))
def test_buckets_follow_each_other_without_a_gap(begin, zone, bucket):
    """Each begins later than the one before, the first not after the time, and the last within it; also where the clock is changed."""
    since = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=begin)).astimezone(zone)
    until = since + timedelta(days=9 if bucket == "hour" else 400)
    found = [one.astimezone(UTC) for one in buckets(since, until, bucket)]

    assert found[0] <= since.astimezone(UTC) and found[-1] < until.astimezone(UTC)
    assert sorted(set(found)) == found


# --- how it is said ---


def test_a_rate_has_the_decimals_that_its_interval_knows():
    """More people, more of them."""
    assert ["5.0%", "5.00%", "5.000%"] == [share(wilson(size // 20, size)) for size in (100, 1_000_000, 100_000_000)]
    assert ("6.2–16.0", "–", "") == (interval(wilson(15, 148)), share(None), interval(None))


@pytest.mark.parametrize(
    "value, english, korean",
    [(99_999, "99,999", "99,999"), (144_512, "144.5K", "14.5만"), (1_234_567, "1.23M", "123.5만"), (123_456_789, "123.5M", "1.23억")],
)
def test_a_large_number_is_short(value, english, korean):
    """By thousands there, by ten thousands here."""
    assert (english, korean) == (short(value, "en"), short(value, "ko"))


def test_money_of_two_currencies_is_never_added():
    """Each stands for itself, with its own decimals."""
    assert "12.50 EUR + 3,000 KRW" == amounts({"KRW": Decimal(3000), "EUR": Decimal("12.5")})


@pytest.mark.parametrize(
    "seconds, english, korean", [(0.4, "0 s", "0초"), (42, "42 s", "42초"), (210, "3.5 min", "3.5분"), (7560, "2.1 h", "2.1시간")]
)
def test_a_duration_is_told_in_its_unit(seconds, english, korean):
    """As people say it."""
    assert (english, korean) == (duration(seconds, "en"), duration(seconds, "ko"))


@given(st.lists(st.integers(1, 10**6).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))), min_size=1, max_size=20))
def test_marks_stay_in_their_column(counts):
    """Whatever the rates are, a dot is never outside, and lies between its ends."""
    rates = [wilson(*one) for one in counts]
    places = [[float(mark[name].rstrip("%")) for name in ("low", "dot", "high")] for one in rates if (mark := strip(one, scale(rates)))]

    assert all(0 <= low <= dot <= high <= 100 for low, dot, high in places)


def test_a_few_people_do_not_flatten_the_rest():
    """One of one has clicked: the scale is still that of the many."""
    assert scale([wilson(1, 20), wilson(50, 1000)]).most <= 0.2
    assert pytest.approx((0.94, 1.0)) == scale([wilson(960, 1000), wilson(990, 1000)])


# --- the words ---


def test_both_languages_say_the_same_things():
    """Nothing is left out of one, and what is filled in is filled in in both."""
    gaps = {name: [{field for _, field, _, _ in Formatter().parse(text) if field} for text in texts] for name, texts in BOTH.items()}

    assert {} == {name: fields for name, fields in gaps.items() if fields[0] != fields[1]}
    assert [] == [name for name, texts in BOTH.items() if not all(one.strip() for one in texts)]


def test_templates_ask_for_words_that_there_are():
    """And every path of the pages has a name."""
    texts = "".join(Templates().texts.values())

    assert set() == set(re.findall(r"\bw\.([a-z_]+)", texts)) - BOTH.keys()
    assert set() == set(PATHS.values()) - BOTH.keys()


@pytest.mark.parametrize("given, said", [("봄", "봄은 없는"), ("어제", "어제는 없는"), ("x", "x는 없는"), ("", "은(는) 없는"), ("{oops}", "{oops}")])
def test_a_word_takes_its_particle(given, said):
    """As it is read; both where nobody can tell, and a name with braces is a name."""
    assert filled(BOTH["unusable_range"][1], given=given).startswith(said)


def test_no_word_is_left_over():
    """Each is said somewhere; some by a name that is put together."""
    folder = Path(words.__file__).parent
    said = "".join(one.read_text() for one in folder.glob("*.py") if one.name != "words.py") + "".join(Templates().texts.values())
    made = tuple(re.findall(r"f[\"']([a-z]+_)\{", said))

    assert [] == [name for name in BOTH if not name.startswith(made) and not re.search(rf"[\"'.]{name}\b", said)]


@pytest.mark.parametrize(
    "accepted, language",
    [("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("de,en;q=0.7,ko;q=0.9", "ko"), ("fr", "en"), ("", "en"), ("ko;q=x", "en"), (",;q=", "en")],
)
def test_the_language_is_the_one_that_the_browser_likes_best(accepted, language):
    """Of those that we speak."""
    assert language == preferred(accepted)


# --- over HTTP ---


@pytest.mark.stack
def test_nobody_sees_anything_without_a_key(settings, tmp_path):
    """Every page asks to sign in first and comes back; a cookie is out of reach of scripts and of other sites; other keys do not do."""

    async def main():
        async with pages(settings, tmp_path) as shown, aiohttp.ClientSession(shown.address(), cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            asked_for = [await http.get(f"{path}?range=7d", allow_redirects=False) for path in (*PATHS, "/campaigns/x", "/experiments/x")]
            refused = [await http.post("/sign-in", data={"key": key}, allow_redirects=False) for key in ("nobody", "shop", "")]
            foreign = await http.post("/sign-in", data={"key": "people"}, headers={"sec-fetch-site": "cross-site"}, allow_redirects=False)
            known = await http.post(
                "/sign-in", data={"key": "people", "to": "/channels"}, headers={"x-forwarded-proto": "https"}, allow_redirects=False
            )
            return (
                {(one.status, one.headers["location"].partition("?")[0]) for one in asked_for},
                asked_for[-1].headers["location"],
                [one.status for one in (*refused, foreign)],
                (known.status, known.headers["location"], known.headers["set-cookie"]),
            )

    sent, where, refused, (status, location, cookie) = asyncio.run(main())

    assert {(303, "/sign-in")} == sent
    assert "/sign-in?to=%2Fexperiments%2Fx%3Frange%3D7d" == where
    assert [401, 403, 401, 403] == refused
    assert (303, "/channels") == (status, location)
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(cookie.split("; "))
    assert "people" not in cookie.partition(".")[2]


@pytest.mark.stack
def test_analytics_has_the_pages_at_its_door(settings, tmp_path):
    """Beside its API, and not instead of it."""

    async def main():
        own = settings.model_copy(update={"config": write_accounts(tmp_path), "port": free_port()})
        async with service.running(SERVICE, own) as one, aiohttp.ClientSession(f"http://127.0.0.1:{one.port}") as http:
            return [
                (await http.get(path, allow_redirects=False)).status
                for path in ("/", "/sign-in", "/pages/pages.js", "/v1/rates", "/campaigns/a/b", "/none")
            ]

    assert [303, 200, 200, 401, 303, 404] == asyncio.run(main())


@pytest.mark.stack
def test_a_link_from_elsewhere_comes_once_more_by_itself(settings, tmp_path):
    """A strict cookie does not come along from another site; what comes back asks again from ours."""

    async def main():
        async with pages(settings, tmp_path) as shown, aiohttp.ClientSession(shown.address()) as http:
            first = await http.get("/", headers={"sec-fetch-site": "cross-site"}, allow_redirects=False)
            again = await http.get("/", headers={"sec-fetch-site": "same-origin"}, allow_redirects=False)
            return first.status, first.headers["refresh"], again.status

    assert (200, "0", 303) == asyncio.run(main())


@pytest.mark.stack
def test_nothing_else_is_loaded_or_run(settings, tmp_path):
    """Pages and files say so to the browser, and what is current is not sent again."""

    async def main():
        async with pages(settings, tmp_path) as shown, aiohttp.ClientSession(shown.address(), cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            await fill(shown.pool, days=3)
            await http.post("/sign-in", data={"key": "people"})
            paths = ["/", "/campaigns/first-flush", *(f"/pages/{name}" for name in FILES)]
            first = [await http.get(path) for path in paths]
            again = [await http.get(path, headers={"if-none-match": one.headers["etag"]}) for path, one in zip(paths, first, strict=True)]
            return [one.status for one in first], [one.headers["content-security-policy"] for one in first], [one.status for one in again]

    first, policies, again = asyncio.run(main())

    assert {200} == set(first)
    assert all("default-src 'none'" in policy and "unsafe" not in policy for policy in policies)
    assert {304} == set(again)


@pytest.mark.stack
def test_names_are_never_markup(settings, tmp_path):
    """A campaign may be called anything."""
    name = "<script>alert(1)</script>\"'&"

    async def main():
        async with pages(settings, tmp_path) as shown, aiohttp.ClientSession(shown.address(), cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            await shown.pool.execute(
                "INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose, language, flow, step)"
                " VALUES (gen_random_uuid(), 'acme', $1, 'sms', '', 'marketing', '', '', '')", name,
            )  # fmt: skip
            await shown.pool.execute("INSERT INTO counters (cell_id, period, sent) SELECT cell_id, $1, 5 FROM cells", NOW - timedelta(days=1))
            await http.post("/sign-in", data={"key": "people"})
            texts = [await (await http.get(path)).text() for path in ("/", "/campaigns", f"/campaigns?q={name[:8]}")]
            link = re.search(r'href="(/campaigns/[^"]+)"', texts[1]).group(1)
            return [*texts, await (await http.get(URL(link.replace("&amp;", "&"), encoded=True))).text()]

    for text in asyncio.run(main()):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text


@pytest.mark.stack
def test_figures_are_taken_along_as_files(settings, tmp_path):
    """Every page offers its rows and its time, in both formats; nobody gets them who is not signed in."""

    async def main():
        async with pages(settings, tmp_path) as shown, aiohttp.ClientSession(shown.address(), cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            await fill(shown.pool, days=3)
            await talk(shown.pool, days=3)
            refused = await http.get("/export?group_by=campaign", allow_redirects=False)
            await http.post("/sign-in", data={"key": "people"})
            files = {}
            for path in ("/", "/campaigns?q=sale", "/campaigns/first-flush", "/channels?channel=sms", "/deliverability", "/conversations"):
                links = re.findall(r'href="(/export[^"]+)"', await (await http.get(path)).text())
                files[path] = [await http.get(URL(one.replace("&amp;", "&"), encoded=True)) for one in links]
            found = {path: [one.content_type for one in answers] for path, answers in files.items()}
            wrong = [(await http.get(f"/export{path}")).status for path in ("?group_by=colour", "/conversations?group_by=colour")]
            return refused.status, found, await files["/campaigns?q=sale"][0].text(encoding="utf-8-sig"), wrong

    refused, found, rows, wrong = asyncio.run(main())

    assert (303, [400, 400]) == (refused, wrong)
    assert {("text/csv", "application/vnd.apache.parquet") * 2} == {tuple(one) for one in found.values()}
    assert ["campaign", "autumn-sale"] == [line.partition(",")[0] for line in rows.splitlines()]


def test_conversations_are_the_same_in_both_formats():
    """A row a team, and what is not known is empty in one and null in the other."""
    counts = dict.fromkeys(COUNTS, 3)
    told = kpis([{"what": name, "n": count, "half": 90, "most": 120, "satisfied": 2, "summed": 13} for name, count in counts.items()])
    wanted = Asked(NOW - timedelta(days=1), NOW, SEOUL, "team", "day")
    found = Summary([Row("=care", NOW, told), Row("", NOW, kpis(()))], told, truncated=False)

    header, care, nobody = csv.reader(io.StringIO(talk_files.comma_separated(wanted, found).decode("utf-8-sig")))
    table = pyarrow.parquet.read_table(io.BytesIO(talk_files.parquet(wanted, found))).to_pylist()

    assert list(table[0]) == header
    assert ("'=care", "=care", "3", 3) == (care[0], table[0]["team"], care[2], table[0]["opened"])
    assert ("", None, "", None) == (nobody[0], table[1]["team"], nobody[-1], table[1]["rating_mean"])


def test_the_words_are_read_only():
    """A page cannot change what the next one says."""
    with pytest.raises(TypeError):
        words.WORDS["en"]["sent"] = "gone"
