import datetime

import pgtrigger
import pytest
from pybtex.database import parse_string

from taxonomy.models import Authorship, Note, NoteDecision, NoteReview, NoteVersion
from taxonomy.rendering import citations
from tests.factory import make_network, make_user


@pytest.fixture
def version(db, settings) -> NoteVersion:
    settings.SITE_URL = "https://neurotaxa.example"
    network = make_network(title="Curve network")
    ada, bela = make_user("ada"), make_user("bela")
    note = Note.objects.create(network=network, created_by=ada, doi="10.1234/5")
    for order, person in enumerate((ada, bela)):
        Authorship.objects.create(note=note, person=person, order=order, added_by=ada, agreed_at=note.created_at)
    Authorship.objects.create(note=note, person=make_user("asked"), added_by=ada)
    return NoteVersion.objects.create(
        note=note, number=1, title="Curves & {echoes}: 50 % of $x_1$", abstract="Short.", saved_by=ada
    )


def test_bibtex_is_read_by_others(version):
    year = version.saved_at.year
    entry = parse_string(citations.bibtex(version), "bibtex").entries[f"ada{year}curvesechoes"]
    assert [str(person) for person in entry.persons["author"]] == ["{ada}", "{bela}"]
    assert entry.fields["title"] == r"Curves \& \textbraceleft{}echoes\textbraceright{}: 50 \% of \$x\_1\$"
    assert entry.fields["year"] == str(year)
    assert entry.fields["doi"] == "10.1234/5"
    assert entry.fields["url"] == f"https://neurotaxa.example/notes/{version.note.public_id}/versions/1/"
    assert entry.fields["note"] == "Circuit note, version 1, draft"


@pytest.mark.parametrize("hostile", ["a } b", "a { b", "}, note = {x", "end \\", "\\}", "}}\n@misc{other, title = {x}"])
def test_nothing_breaks_out_of_bibtex(version, hostile):
    note = version.note
    note.network.title = hostile
    person = note.people[0].person
    person.username = hostile
    version.title = hostile
    found = parse_string(citations.bibtex(version), "bibtex").entries
    [entry] = found.values()
    assert set(entry.fields) == {"title", "year", "month", "howpublished", "note", "doi", "url"}
    assert entry.fields["note"] == "Circuit note, version 1, draft"
    assert len(entry.persons["author"]) == 2
    for value in (entry.fields["title"], entry.fields["howpublished"], str(entry.persons["author"][0])):
        assert value.count("{") == value.count("}")


def test_csl(version):
    item = citations.csl(version)
    assert item["author"] == [{"literal": "ada"}, {"literal": "bela"}]
    assert item["issued"]["date-parts"] == [[version.saved_at.year, version.saved_at.month, version.saved_at.day]]
    assert item["DOI"] == "10.1234/5"
    assert (item["version"], item["status"], item["license"]) == ("1", "draft", "CC-BY 4.0")


def test_text(version):
    told = citations.text(version)
    assert told.startswith(f"ada and bela ({version.saved_at.year}). Curves & {{echoes}}: 50 % of $x_1$. Neurotaxa, ")
    assert "Circuit note, version 1, draft." in told


def publish(version: NoteVersion, at: datetime.datetime) -> NoteVersion:
    """Approved at that time, as its citation is read afterwards."""
    note = version.note
    NoteReview.objects.create(version=version, reviewer=make_user(), decision=NoteDecision.APPROVE)
    with pgtrigger.ignore("taxonomy.NoteReview:note_reviews_are_kept"):
        NoteReview.objects.filter(version=version, decision=NoteDecision.APPROVE).update(at=at)
    note.corrected_at = at if note.published else None
    note.number, note.published, note.published_at, note.opened_at = 3, version, note.published_at or at, at
    note.opened_with = 1
    note.save()
    return again(version)


def again(version: NoteVersion) -> NoteVersion:
    return NoteVersion.objects.get(pk=version.pk)


def test_a_citation_stays_as_it_was_when_its_version_was_published(version):
    note = version.note
    at = version.saved_at + datetime.timedelta(days=400)
    NoteReview.objects.create(version=version, reviewer=make_user(), decision=NoteDecision.REQUEST_CHANGES)
    cited = publish(version, at)
    told = citations.text(cited), citations.bibtex(cited), citations.csl(cited)
    assert told[0].startswith(f"ada and bela ({at.year}). ")
    assert citations.key(cited) == f"ada{at.year}curvesechoes"
    assert told[2]["issued"]["date-parts"] == [[at.year, at.month, at.day]]
    later = at + datetime.timedelta(days=1)
    note.authorships.filter(person__username="ada").update(ended_at=later)
    Authorship.objects.filter(note=note, person__username="asked").update(agreed_at=later)
    afterwards = again(version)
    assert (citations.text(afterwards), citations.bibtex(afterwards), citations.csl(afterwards)) == told
    tried = NoteVersion.objects.create(note=note, number=2, title="Tried", saved_by=note.created_by)
    correction = NoteVersion.objects.create(note=note, number=3, title="Corrected", saved_by=note.created_by)
    assert citations.text(again(tried)).startswith("asked and bela (")
    assert citations.text(publish(correction, later + datetime.timedelta(days=1))).startswith("asked and bela (")
    afterwards = again(version)
    assert (citations.text(afterwards), citations.bibtex(afterwards), citations.csl(afterwards)) == told
    assert "Circuit note 3, version 2, not published." in citations.text(again(tried))


def test_a_version_says_how_far_it_is(version):
    version = publish(version, version.saved_at)
    note = version.note
    assert "Circuit note 3, version 1." in citations.text(version)
    later = NoteVersion.objects.create(note=note, number=2, title="Later", saved_by=note.created_by)
    assert "Circuit note 3, version 2, not published." in citations.text(later)


def test_who_was_erased_is_named_as_the_byline_names_them(version):
    person = version.note.authorships.named()[0].person
    person.username, person.erased_at, person.is_active = f"former-contributor-{person.pk}", version.saved_at, False
    person.email = person.affiliation = ""
    person.save()
    name = f"former-contributor-{person.pk}"
    assert citations.text(version).startswith(f"{name} and bela (")
    assert citations.csl(version)["author"][0] == {"literal": name}
    assert f"{{{{{name}}} and {{bela}}}}" in citations.bibtex(version)
