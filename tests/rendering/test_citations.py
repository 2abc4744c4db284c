import pytest
from pybtex.database import parse_string

from taxonomy.models import Authorship, Note, NoteVersion
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
    assert entry.fields["title"] == r"Curves \& \{echoes\}: 50 \% of \$x\_1\$"
    assert entry.fields["year"] == str(year)
    assert entry.fields["doi"] == "10.1234/5"
    assert entry.fields["url"] == f"https://neurotaxa.example/notes/{version.note.public_id}/versions/1/"
    assert entry.fields["note"] == "Circuit note, version 1, draft"


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


def test_a_version_says_how_far_it_is(version):
    note = version.note
    note.number, note.published, note.published_at, note.opened_at = 3, version, note.created_at, note.created_at
    note.save()
    assert "Circuit note 3, version 1." in citations.text(version)
    later = NoteVersion.objects.create(note=note, number=2, title="Later", saved_by=note.created_by)
    assert "Circuit note 3, version 2, not published." in citations.text(later)


def test_who_left_is_not_named(version):
    person = version.note.authorships.named()[0].person
    person.username, person.erased_at, person.is_active = f"former-contributor-{person.pk}", version.saved_at, False
    person.email = person.affiliation = ""
    person.save()
    assert citations.text(version).startswith("former contributor and bela (")
    assert "former-contributor" not in citations.bibtex(version)
