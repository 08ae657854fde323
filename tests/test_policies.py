"""`policies.yaml`: what it says becomes values, what it does not say has defaults, and what is broken is refused at its line."""

from datetime import time, timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from parley import config as configuration
from parley import policies
from parley.contracts import Purpose
from parley.failures import MARKETING_SCHEDULE, REPLY_SCHEDULE, Schedule
from parley.policies import Cap, Policies, Quiet, load
from parley.yamlfile import ConfigError
from parley_sender import packs

ROOT = Path(__file__).parents[1]
WHOLE = """tenants:
  acme:
    country: KR
    packs: [us, uk]
    quiet:
      marketing: {between: ["20:00", "10:00"], days: [sun]}
    caps:
      - {purpose: marketing, per: day, most: 2}
      - {purpose: marketing, per: 3d, most: 4}
    retries: {reply: [5s, 30s, 5m], transactional: []}
    unknown: {marketing: resend}
    name: Acme Tea
    opt_out: {ko: 무료수신거부 080-000-0000}
    marked_templates: [sale]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "policies.yaml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_there_are_defaults(tmp_path):
    """Nobody is capped, nothing is quiet, what is in doubt is held, and attempts are made as `parley.failures` says."""
    policy = load(tmp_path).of("acme")

    assert ("acme", None, None, {}, ()) == (policy.tenant, policy.country, policy.packs, policy.quiet, policy.caps)
    assert {Purpose.REPLY: "hold", Purpose.TRANSACTIONAL: "hold", Purpose.MARKETING: "hold"} == policy.unknown
    usual = {Purpose.REPLY: REPLY_SCHEDULE, Purpose.TRANSACTIONAL: REPLY_SCHEDULE, Purpose.MARKETING: MARKETING_SCHEDULE}
    assert {purpose: Schedule(pauses) for purpose, pauses in usual.items()} == policy.schedules


def test_what_the_file_says(tmp_path):
    """Each key becomes a value; purposes that it does not name keep their defaults, and so do tenants."""
    found = load(written(tmp_path, WHOLE), ["acme"], ["us", "uk"])
    policy = found.of("acme")

    assert ("KR", ("us", "uk"), "Acme Tea", frozenset({"sale"})) == (policy.country, policy.packs, policy.name, policy.marked_templates)
    assert {Purpose.MARKETING: Quiet((time(20), time(10)), frozenset({6}))} == policy.quiet
    assert (Cap(Purpose.MARKETING, timedelta(days=1), 2), Cap(Purpose.MARKETING, timedelta(days=3), 4)) == policy.caps
    assert [(5, 30, 300), (), MARKETING_SCHEDULE] == [policy.schedules[purpose].pauses for purpose in Purpose]
    assert ["hold", "hold", "resend"] == [policy.unknown[purpose] for purpose in Purpose]
    assert {"ko": "무료수신거부 080-000-0000"} == policy.opt_out
    assert () == found.of("other").caps


def test_a_policy_is_the_same_each_time(tmp_path):
    """Answers are kept by it."""
    found = load(written(tmp_path, WHOLE))

    assert found.of("acme") is found.of("acme") and found.of("other") is found.of("other")
    assert found.of("acme") is not load(tmp_path).of("acme")
    assert Policies().of("acme") is not Policies().of("acme")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("country: KR", "country: UK", ":3: tenants.acme.country: the United Kingdom is GB in ISO 3166"),
        ("country: KR", "country: KO", ":3: tenants.acme.country: 'KO' is no country of ISO 3166, two capital letters, such as KR"),
        ("country: KR", "contry: KR", ":3: tenants.acme.contry: Extra inputs are not permitted; did you mean `country`?"),
        ("[us, uk]", "[us, xx]", ":4: tenants.acme.packs.1: there is no pack 'xx'; known: kr, uk, us"),
        ("[us, uk]", "us", ":4: tenants.acme.packs"),
        ('"20:00"', "20:00", ':6: tenants.acme.quiet.marketing.between.0: a time of day is written as "08:00", in quotes; not 1200'),
        ('"20:00"', '"10:00"', ":6: tenants.acme.quiet.marketing: quiet hours that begin when they end leave no time to send"),
        ("days: [sun]", "days: [sunday]", ":6: tenants.acme.quiet.marketing.days.0: "),
        ('between: ["20:00", "10:00"], days: [sun]', "", ":6: tenants.acme.quiet.marketing: quiet hours need `between`"),
        (
            "days: [sun]",
            "days: [mon, tue, wed, thu, fri, sat, sun]",
            ":6: tenants.acme.quiet.marketing: with every day quiet there is no time to send",
        ),
        ("marketing: {between", "promotion: {between", ":6: tenants.acme.quiet.promotion"),
        ("per: day", "per: month", ":8: tenants.acme.caps.0.per: a length of time is written as 5s, 15m, 2h, 3d or 1w; not 'month'"),
        ("per: day", "per: 0d", ":8: tenants.acme.caps.0.per: a length of time is written as"),
        ("per: 3d", "per: 91d", ":9: tenants.acme.caps.1.per: caps look back at most 90 days; not '91d'"),
        ("most: 4", "most: 0", ":9: tenants.acme.caps.1.most: Input should be greater than or equal to 1"),
        ("5s, 30s", "5, 30s", ":10: tenants.acme.retries.reply.0: a length of time is written as"),
        ("5s, 30s", "2w, 30s", ":10: tenants.acme.retries.reply.0: a pause between attempts is at most 7 days; not '2w'"),
        ("[5s, 30s, 5m]", f"[{', '.join(['5s'] * 21)}]", ":10: tenants.acme.retries.reply: Tuple should have at most 20 items"),
        ("resend", "drop", ":11: tenants.acme.unknown.marketing: Input should be 'hold' or 'resend'"),
        ("{ko:", "{korean:", ":13: tenants.acme.opt_out.korean"),
        ("  acme:", "  shop:", ":2: tenants.shop: there is no tenant 'shop' in accounts.yaml; known: acme"),
        ("country: KR", "country: [", "not YAML"),
        ("country: KR", "country: KR\n    country: US", ":4: not YAML: the key `country` stands twice"),
    ],
)
def test_broken_files_are_refused(tmp_path, old, new, wanted):
    """With file, line and reason."""
    assert old in WHOLE

    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, WHOLE.replace(old, new)), ["acme"], ["kr", "us", "uk"])

    assert wanted in str(caught.value).replace(str(tmp_path / "policies.yaml"), "")
    assert str(tmp_path / "policies.yaml") in str(caught.value)


def test_every_complaint_is_told_at_once(tmp_path):
    """A file with two mistakes is not mended twice."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, WHOLE.replace("KR", "UK").replace("most: 4", "most: 0")))

    assert 2 == len(str(caught.value).splitlines())


def test_every_key_is_in_the_page():
    """docs/policies.md tells of each key that the file may have."""
    page = (ROOT / "docs/policies.md").read_text(encoding="utf-8")
    models: list[type[BaseModel]] = [policies.TenantEntry, policies.QuietEntry, policies.CapEntry]

    assert [] == [key for model in models for key in model.model_fields if f"`{key}`" not in page]
    assert [] == [key for model in (packs.PackFile, packs.RuleEntry, packs.HolidaysEntry) for key in model.model_fields if f"{key}" not in page]


def test_the_sample_is_one_of_ours():
    """The sample tenant's file is for tenants and packs that there are."""
    tenants = configuration.yamlfile.read(ROOT / "config/accounts.yaml", configuration.AccountsFile).tenants

    assert "KR" == load(ROOT / "config", tenants, packs.load().all).of("acme").country
