"""Which version is in force: a good file, else the last good one; and what was published under a number stays what it is."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from parley import yamlfile
from parley_router.catalogue import Read, Refused
from parley_router.flow import Flow
from parley_router.versions import Resolved, Stored, digest, key_of, resolve

T0 = datetime(2026, 11, 24, tzinfo=UTC)
FILE = "flow: {name}\nversion: {version}\ntenant: acme\nsteps:\n  - say: {{en: {text}}}\n"


def file(name: str = "tea", version: int = 1, text: str = "hello", path: str = "") -> Read:
    source = FILE.format(name=name, version=version, text=text)
    where = path or f"flows/{name}.yaml"
    return Read(where, source, yamlfile.parse(source, Flow, where))


def stored(one: Read, **more: object) -> Stored:
    return replace(Stored(*key_of(one.flow), one.name.rpartition("/")[2], digest(one.source), T0), **more)


def broken(name: str = "tea") -> Refused:
    return Refused(f"flows/{name}.yaml", f"flows/{name}.yaml:1: not YAML")


def complained(one: Read, why: str) -> Refused:
    return Refused(one.name, why)


def fine(reads, beside):
    return []


def settled(reads=(), refused=(), published=(), check=fine, **rows) -> Resolved:
    """`published`: versions in the database; `rows` says more of all of them."""
    return resolve(reads, refused, [stored(one, **rows) for one in published], {key_of(one.flow): one.flow for one in published}, check, complained)


def live(found: Resolved) -> list[tuple[str, int]]:
    return [(one.flow, one.version) for one in found.live]


def test_a_new_version_is_in_force_and_to_be_stored():
    """The one before is not retired by that."""
    found = settled([file(version=2)], published=[file()])

    assert ([("tea", 2)], ["flows/tea.yaml"], {}) == (live(found), [one.name for one in found.new], found.retired)


def test_a_file_that_is_published_is_in_force_and_not_stored_again():
    """Also when its comments are other than they were."""
    commented = replace(file(), source="# better\n\n" + file().source)
    found = settled([commented], published=[file()])

    assert ([("tea", 1)], (), ()) == (live(found), found.new, found.refused)


def test_a_broken_file_leaves_the_version_before_in_force():
    """It is known by the file's name, for the file does not say its own."""
    found = settled(refused=[broken()], published=[file(), file(version=2)])

    assert ([("tea", 2)], (broken(),)) == (live(found), found.refused)
    assert [("tea", 2)] == [(one.flow, one.version) for one in found.stood_in]


def test_a_broken_file_of_a_flow_that_never_was_stops_nothing_else():
    """Also at the very first start."""
    found = settled([file("cake")], refused=[broken()])

    assert ([("cake", 1)], (broken(),)) == (live(found), found.refused)


def test_a_flow_whose_file_is_gone_begins_no_more():
    """It is not retired either: whoever is in it goes on."""
    found = settled([file("cake")], published=[file()])

    assert ([("cake", 1)], {}) == (live(found), found.retired)


def test_other_content_under_the_same_number_is_refused():
    """It says what to do; what was published stays in force."""
    found = settled([file(text="other")], published=[file()])

    said = "version 1 was published on 2026-11-24 with other content: make it version 2"
    assert ([said], ["hello"]) == ([one.reason for one in found.refused], [one.steps[0].say["en"] for one in found.live])


def test_an_older_version_is_no_way_back():
    """Two replicas with files of different days would disagree for ever: the number only grows."""
    found = settled([file()], published=[file(), file(version=3)])

    said = "version 3 was published on 2026-11-24 and is in force: to go back, make this one version 4"
    assert ([said], [("tea", 3)]) == ([one.reason for one in found.refused], live(found))


def test_a_number_has_a_limit():
    """That of the database, which would refuse it later."""
    found = settled([file(version=2**31)], published=[file()])

    assert ([("tea", 1)], ["a version is a number up to 2147483647"]) == (live(found), [one.reason for one in found.refused])


def test_a_retired_version_does_not_come_back():
    """The version that runs moved to is told to whoever makes the book."""
    found = settled([file()], published=[file()], retired_at=T0, retired_to=2)

    said = "version 1 was retired on 2026-11-24: make it version 2"
    assert ([said], [], {("acme", "tea", 1): 2}) == ([one.reason for one in found.refused], live(found), found.retired)


def quarrelling(reads, beside):
    """Two flows that say the same do not go together; each complains of the other."""
    said = [flow.steps[0].say["en"] for flow in (*(one.flow for one in reads), *beside)]
    return [Refused(one.name, "the same words") for one in reads if said.count(one.flow.steps[0].say["en"]) > 1]


def test_of_two_files_that_do_not_go_together_the_new_one_is_refused():
    """The one that has been there is not to blame, and stays in force with its own file."""
    found = settled([file(), file("cake")], published=[file()], check=quarrelling)

    assert (["flows/cake.yaml"], [("tea", 1)], ()) == ([one.name for one in found.refused], live(found), found.stood_in)


def test_of_two_new_files_that_do_not_go_together_neither_is_used():
    """Nobody can tell which of them was meant."""
    found = settled([file(), file("cake")], check=quarrelling)

    assert ({"flows/tea.yaml", "flows/cake.yaml"}, []) == ({one.name for one in found.refused}, live(found))


def needing(reads, beside):
    """Cake leads to tea."""
    names = {flow.flow for flow in (*(one.flow for one in reads), *beside)}
    return [Refused(one.name, "there is no tea") for one in reads if one.flow.flow == "cake" and "tea" not in names]


def test_what_leads_to_a_refused_file_is_asked_again():
    """Where an older version stands in, it leads there; where none does, nowhere."""
    alone, with_older = settled([file("cake")], [broken()], check=needing), settled([file("cake")], [broken()], [file()], needing)

    assert ([], [("cake", 1), ("tea", 1)]) == (live(alone), live(with_older))


names = st.sampled_from(["tea", "cake", "milk"])
files = st.builds(file, names, st.integers(1, 3), st.sampled_from(["a", "b", "c"]))


@given(
    st.lists(files, max_size=5, unique_by=lambda one: one.name), st.lists(files, max_size=6, unique_by=lambda one: key_of(one.flow)), st.booleans()
)
def test_whatever_the_files_say_a_published_version_keeps_its_content(reads, published, strict):
    """Every flow with a file begins in one version at most; what is in force is a file that was not refused, or was published before."""
    found = settled(reads, published=published, check=quarrelling if strict else fine)
    texts = {key_of(one.flow): one.flow for one in published}
    refused = {one.name for one in found.refused}

    assert len(found.live) == len({one.flow for one in found.live})
    assert all(texts.get(key_of(one), one) == one for one in found.live)
    assert {one.flow.flow for one in reads if one.name not in refused} <= {one.flow for one in found.live}
    assert {one.flow for one in found.live} <= {one.flow.flow for one in reads}
