"""The policy packs: each rule by its examples beside the packs (`tests/packs/`), their sources, what a broken one is told, and rulings."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
import yaml
from phonenumbers import geocoder

from parley.contracts import Channel, Content, Purpose
from parley.policies import Cap, Policy, Quiet
from parley.yamlfile import ConfigError
from parley_sender import packs as policypacks
from parley_sender import whereabouts
from parley_sender.hours import closed_by, opens
from parley_sender.packs import FOLDER, load
from parley_sender.rulings import ruling
from parley_sender.wording import marked

HERE = Path(__file__).parent / "packs"
PACKS = load()
POLICY = Policy("acme", name="Acme")
SAMPLES = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.yaml"))}
EXAMPLES = [(name, sample, one) for name, sample in SAMPLES.items() for one in sample["examples"]]


def test_every_rule_has_examples():
    """And every example is of a rule there is; a pack without a file fails here."""
    wanted = {rule.name for pack in PACKS.all.values() for rule in pack.rules}

    assert wanted == {f"{name}.{one['rule']}" for name, _, one in EXAMPLES if one.get("applies", True)}


@pytest.mark.parametrize(("name", "sample", "one"), EXAMPLES, ids=[f"{name}.{one['rule']}-{index}" for index, (name, _, one) in enumerate(EXAMPLES)])
def test_example(name, sample, one):
    """What a rule says becomes of a message."""
    zone, channel = ZoneInfo(sample["zone"]), Channel(one.get("channel", "sms"))
    address = "kim@example.com" if channel is Channel.EMAIL else one.get("to", sample["to"])
    country = whereabouts.of(sample["to"], Channel.SMS, None, zone, None).country
    where = whereabouts.of(address, channel, None, zone, country)
    found = ruling(POLICY, PACKS, where, Purpose(one.get("purpose", "marketing")), channel)

    assert one.get("applies", True) == (f"{name}.{one['rule']}" in {rule.name for rule in found.rules})
    if "leaves" in one:
        now = datetime.fromisoformat(one["at"]).replace(tzinfo=zone).astimezone(UTC)
        first = opens(found.hours, where, now, one.get("at_night", False))
        assert one["leaves"] == ("now" if first is None else f"{first.astimezone(zone):%Y-%m-%d %H:%M}")
        assert (first is None) == (closed_by(found.hours, where, now, one.get("at_night", False)) is None)
    if "becomes" in one:
        language = "ko" if name == "kr" else "en"
        assert one["becomes"] == marked(Content(text=str(one["text"])), found, channel, language, "https://acme.example/u/1").text
    assert one.get("needs_consent", found.needs_consent) == found.needs_consent
    assert one.get("lives", found.consent_lives and found.consent_lives.days) == (found.consent_lives and found.consent_lives.days)
    assert one.get("caps", []) == [[int(cap.window.total_seconds()), cap.most] for cap in found.caps if "caps" in one]


@pytest.mark.parametrize("rule", [rule for pack in PACKS.all.values() for rule in pack.rules], ids=lambda rule: rule.name)
def test_every_rule_has_a_source(rule):
    """Law, section, a page; and the documentation tells of it, with what nobody could check."""
    page = (Path(__file__).parents[1] / "docs/policies.md").read_text(encoding="utf-8")

    assert rule.source.law and rule.source.section and rule.source.link.startswith("https://")
    assert f"| `{rule.name}` | {rule.says} |" in page and f"[{rule.source.law}, {rule.source.section}]({rule.source.link})" in page
    assert rule.source.unverified is None or f"`{rule.name}`: {rule.source.unverified}" in page


def test_areas_are_those_of_the_numbering_plan():
    """Every area that phonenumbers knows in a state stands in the state's pack, and no other."""
    for pack in PACKS.all.values():
        if pack.areas:
            named = {one.strip("+") for one in pack.areas}
            state, short = ("Washington State" if pack.title == "Washington" else pack.title), pack.name[3:].upper()
            assert {f"1{area}" for area in range(200, 1000) if {state, short} & places(area)} == named


def places(area: int) -> set[str]:
    """The states in which numbers of an area are."""
    parsed = [phonenumbers.parse(f"+1{area}{exchange}0123") for exchange in (234, 555, 667, 842, 998)]
    there = [geocoder.description_for_number(one, "en") for one in parsed if phonenumbers.region_code_for_number(one) == "US"]
    return {one.rpartition(", ")[2] for one in there}


# --- rulings ---------------------------------------------------------------------------------------------------------------------------


SEOUL = whereabouts.of("+821012345678", Channel.SMS, None, ZoneInfo("Asia/Seoul"), None)


def test_a_ruling_only_ever_gets_stricter():
    """Packs that a tenant names come beside those of the recipient's country, and so do its own hours and caps."""
    plain = ruling(POLICY, PACKS, SEOUL, Purpose.MARKETING, Channel.SMS)
    cap = Cap(Purpose.MARKETING, timedelta(days=1), 2)
    policy = Policy("acme", packs=("us", "uk"), quiet={Purpose.MARKETING: Quiet(days=frozenset({6}))}, caps=(cap,), name="Acme")
    more = ruling(policy, PACKS, SEOUL, Purpose.MARKETING, Channel.SMS)

    assert set(plain.rules) < set(more.rules) and set(plain.hours) < set(more.hours)
    assert {"kr.night", "us.hours", "own quiet hours"} == {one.name for one in more.hours}
    assert ((), (cap,)) == (plain.caps, more.caps)
    assert (plain.begins, plain.consent_lives) == (more.begins, more.consent_lives)


def test_law_and_tenant_caps_stand_together():
    """Florida's three a day beside the tenant's own; a cap of another purpose is none."""
    where = whereabouts.of("+13055550123", Channel.SMS, None, ZoneInfo("UTC"), None)
    caps = (Cap(Purpose.MARKETING, timedelta(weeks=1), 2), Cap(Purpose.REPLY, timedelta(days=1), 50))
    found = ruling(Policy("acme", caps=caps), PACKS, where, Purpose.MARKETING, Channel.SMS)

    assert (caps[0], Cap(Purpose.MARKETING, timedelta(days=1), 3)) == found.caps


def test_whoever_is_nowhere_has_no_pack():
    """Marketing needs a yes all the same."""
    found = ruling(POLICY, PACKS, whereabouts.of("kim@example.com", Channel.EMAIL, None, ZoneInfo("UTC"), None), Purpose.MARKETING, Channel.EMAIL)

    assert ((), (), True) == (found.rules, found.hours, found.needs_consent)


def test_a_ruling_is_made_once():
    """It is asked for with every message."""
    assert ruling(POLICY, PACKS, SEOUL, Purpose.REPLY, Channel.SMS) is ruling(POLICY, PACKS, SEOUL, Purpose.REPLY, Channel.SMS)


# --- broken packs ----------------------------------------------------------------------------------------------------------------------

WHOLE = """title: Somewhere
countries: [KR]
rules:
  hours:
    says: Not at night, it says.
    source: {law: A law, section: art. 1, link: "https://law.example"}
    open: [{from: "08:00", to: "21:00"}]
"""


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("[KR]", "[UK]", ":2: countries.0: the United Kingdom is GB in ISO 3166"),
        ("countries: [KR]", "areas: [1305]", ":2: areas.0: "),
        ("countries: [KR]\n", "", "a pack is about people: `countries` or `areas`"),
        ("    says: Not at night, it says.\n", "", ":4: rules.hours.says: Field required"),
        ("link: ", "page: ", "rules.hours.source.link: Field required"),
        ("https://law", "http://law", ":6: rules.hours.source.link: "),
        ("21:00", "07:00", ":4: rules.hours: open hours end after they begin, within a day; not 08:00 to 07:00"),
        ("21:00", "25:00", ":7: rules.hours.open.0.to: "),
        ('    open: [{from: "08:00", to: "21:00"}]\n', "", ":4: rules.hours: a rule asks for something"),
        ("open:", "opens:", ":7: rules.hours.opens: Extra inputs are not permitted; did you mean `open`?"),
        ("    open:", "    lives: 2d\n    open:", "`lives` is about a `consent`, and none is needed"),
    ],
)
def test_broken_packs_are_refused(tmp_path, old, new, wanted):
    """With file, line and reason."""
    path = tmp_path / "kr.yaml"
    path.write_text(WHOLE.replace(old, new), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path)

    assert str(path) in str(caught.value) and wanted in str(caught.value)


def test_packs_are_shipped():
    """They stand in the package, of which everything is in the wheel; here are those that the law of our tenants needs."""
    assert {"kr", "us", "eu", "uk", "fr", "us-fl", "us-ok", "us-wa"} <= set(PACKS.all)
    assert FOLDER.parent == Path(policypacks.__file__).parent
