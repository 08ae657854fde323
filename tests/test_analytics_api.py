"""What the API of figures answers, over HTTP: JSON, CSV and Parquet tell the same, pages lead on, campaigns and losses are told whole."""

import csv
import io

import pyarrow.parquet
import pytest

from parley_analytics import exports
from parley_analytics.rates import COUNTS
from tests.asking_figures import KEY, OTHER_KEY, served
from tests.conftest import created


@pytest.fixture(scope="module")
def asked(stack, tmp_path_factory):
    with created(stack.database, stack.migrated) as database, served(database, tmp_path_factory.mktemp("figures")) as one:
        yield one


@pytest.mark.stack
def test_rates_are_by_any_dimensions_and_over_time(asked):
    """With money, intervals and totals; a dimension that is not there is null."""
    found = asked.get("/v1/rates?group_by=flow,step&bucket=day&order=-click").json()
    rows = [(row["flow"], row["step"], row["bucket"], row["sent"], row["people_clicked"]) for row in found["rows"]]

    assert [("offer", "ask", "2026-11-24T00:00:00+00:00", 7, 1)] == rows[:1]
    assert (None, None) in {row[:2] for row in rows}
    assert {"orders": 1, "revenue": "53000"}.items() <= found["totals"]["money"]["KRW"].items()
    assert found["totals"]["rates"]["click"].keys() == {"value", "low", "high"}


@pytest.mark.stack
def test_pages_lead_on_to_the_end(asked):
    """Each group once; the totals are of all pages on every page."""
    first = asked.get("/v1/rates?group_by=campaign,variant&limit=1").json()
    seen, page = first["rows"], first
    while page["next"]:
        page = asked.get(f"/v1/rates?group_by=campaign,variant&limit=1&after={page['next']}").json()
        seen = [*seen, *page["rows"]]
        assert first["totals"] == page["totals"]
    whole = asked.get("/v1/rates?group_by=campaign,variant").json()

    assert whole["rows"] == seen
    assert 4 == len(seen)


@pytest.mark.stack
@pytest.mark.parametrize("how", ["format", "accept"])
def test_files_tell_what_json_tells(asked, how):
    """Row by row and figure by figure, in CSV and in Parquet, asked for by parameter or by header."""
    path = "/v1/rates?group_by=campaign,channel&bucket=day"
    rows = asked.get(path).json()["rows"]
    files = {name: asked.get(f"{path}&format={name}") if how == "format" else asked.get(path, accept=media) for name, media in exports.MEDIA.items()}
    table = list(csv.DictReader(io.StringIO(files["csv"].content.decode("utf-8-sig"))))
    parquet = pyarrow.parquet.read_table(io.BytesIO(files["parquet"].content)).to_pylist()

    assert [media for _, media in sorted(exports.MEDIA.items())] == [files[name].headers["content-type"].partition(";")[0] for name in sorted(files)]
    assert [[row[name] for name in COUNTS] for row in rows] == [[int(row[name]) for name in COUNTS] for row in table]
    assert [[row[name] for name in COUNTS] for row in rows] == [[row[name] for name in COUNTS] for row in parquet]
    assert [row["bucket"] for row in rows] == [row["bucket"] for row in table] == [row["bucket"].isoformat() for row in parquet]
    for row, written, stored in zip(rows, table, parquet, strict=True):
        rate, money = row["rates"]["delivery"], row["money"].get("USD", {"cost": "0"})
        assert [rate and rate["low"]] * 2 == [float(written["delivery_low"]) if written["delivery_low"] else None, stored["delivery_low"]]
        assert [float(money["cost"])] * 2 == [float(written["cost_USD"]), float(stored["cost_USD"])]


@pytest.mark.stack
def test_a_file_says_where_it_goes_on(asked):
    """The header Link, as long as there is more; without a limit it is whole."""
    first = asked.get("/v1/rates?group_by=campaign&format=csv&limit=1")
    link = first.headers["link"].partition(">")[0].removeprefix("<")

    assert 'rel="next"' in first.headers["link"]
    assert asked.get(link).text.splitlines()[1] != first.text.splitlines()[1]
    assert "link" not in asked.get("/v1/rates?group_by=campaign&format=csv").headers


def test_a_name_that_a_spreadsheet_would_compute_is_a_text():
    """An apostrophe stands before it."""
    assert ["'=1+1", "spring", 3] == [exports._cell(one) for one in ("=1+1", "spring", 3)]


@pytest.mark.parametrize(
    "given, accept, form",
    [
        (None, "", None),
        (None, "*/*", None),
        (None, "text/html,application/json;q=0.9", None),
        (None, "text/csv", "csv"),
        (None, "application/json;q=0.5, application/vnd.apache.parquet", "parquet"),
        (None, "text/csv;q=0, application/json", None),
        ("csv", "application/json", "csv"),
        ("json", "text/csv", None),
    ],
)
def test_the_form_is_the_one_that_is_asked_for(given, accept, form):
    """The parameter before the header, in the header what is preferred."""
    assert form == exports.wanted(given, accept)


@pytest.mark.stack
def test_a_campaign_is_told_whole(asked):
    """Its funnel, its money, over time, by channel, variant and step, and why messages did not arrive."""
    found = asked.get("/v1/campaigns/spring").json()

    assert [8, 8, 1, 1, 1] == [found["totals"][name] for name in ("sent", "delivered", "failed", "clicked", "converted")]
    assert ["whatsapp", "sms"] == sorted((row["channel"] for row in found["channels"]), reverse=True)
    assert [{"status": "failed", "reason": "unreachable", "messages": 1}] == found["reasons"]
    assert found["totals"]["sent"] == sum(row["sent"] for row in found["over_time"])
    assert ("53000", "hour") == (found["totals"]["money"]["KRW"]["revenue"], found["bucket"])


@pytest.mark.stack
def test_campaigns_are_listed_without_what_belongs_to_none(asked):
    """By what they sent, and found by a part of their names."""
    assert ["spring", "autumn"] == [row["campaign"] for row in asked.get("/v1/campaigns").json()["rows"]]
    assert ["autumn"] == [row["campaign"] for row in asked.get("/v1/campaigns?search=TUM").json()["rows"]]


@pytest.mark.stack
def test_what_did_not_arrive_is_told_with_why(asked):
    """Beside all that was sent."""
    found = asked.get("/v1/deliverability?group_by=channel").json()

    assert [{"channel": "whatsapp", "status": "failed", "reason": "unreachable", "messages": 1}] == found["rows"]
    assert (1, 14) == (found["totals"]["failed"], found["totals"]["sent"])


@pytest.mark.stack
def test_what_is_owed_to_no_message_is_told(asked):
    """The order of somebody who clicked nothing."""
    rows = asked.get("/v1/unattributed").json()["rows"]

    assert [{"goal": "order.placed", "currency": "KRW", "happened": 1, "value": "8000"}] == rows


@pytest.mark.stack
@pytest.mark.parametrize(
    "path, key, status, sentence",
    [
        ("/v1/rates", None, 401, "Authorization"),
        ("/v1/campaigns", KEY, 403, "rates:read"),
        ("/v1/rates?format=xml", OTHER_KEY, 400, "`format` cannot be 'xml'; known: json, csv, parquet."),
        ("/v1/campaigns?variant=a", OTHER_KEY, 400, "There is no parameter `variant`; known: from, to, search, order, limit, after."),
        ("/v1/campaigns/winter", OTHER_KEY, 404, "Campaign 'winter' has sent nothing yet."),
        ("/v1/campaigns/spring?from=2026-01-01&bucket=hour", OTHER_KEY, 400, "7 days apart at most by hour"),
        ("/v1/deliverability?group_by=campaign", OTHER_KEY, 400, "known: channel, purpose, language, one of them, or none."),
        ("/v1/unattributed?group_by=channel", OTHER_KEY, 400, "There is no parameter `group_by`"),
    ],
)  # fmt: skip
def test_who_may_not_or_asks_wrongly_is_told_so(asked, path, key, status, sentence):
    """Problem documents."""
    found = asked.get(path, key)

    assert (status, "application/problem+json") == (found.status_code, found.headers["content-type"])
    assert sentence in found.json()["detail"]
