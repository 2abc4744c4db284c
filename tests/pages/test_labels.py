import pytest

from taxonomy.models import EvidenceVersion, Label, Reveal
from tests.factory import make_family, make_network, neuron_at


def address(neuron) -> str:
    return f"{neuron.get_absolute_url()}label/"


@pytest.fixture
def reader(client, world):
    client.force_login(world.contributor)
    return client


def test_reading_a_neuron_shows_what_others_read(reader, world):
    seen = list(EvidenceVersion.objects.filter(evidence__neuron=world.read).values_list("pk", flat=True))
    said = {"reading": world.curves.pk, "confidence": "high", "note": "Bends.", "seen": seen}
    response = reader.post(address(world.read), said, follow=True)
    label = Label.objects.get(author=world.contributor)
    assert label.family == world.curves
    assert label.blind
    assert set(label.seen.values_list("pk", flat=True)) == set(seen)
    html = response.content.decode()
    assert "Straight, like" in html
    assert "Next neuron" in html
    assert Reveal.objects.filter(person=world.contributor, neuron=world.read).exists()


def test_what_belongs_to_another_choice_is_left_behind(reader, world):
    said = {
        "reading": "none of these",
        "confidence": "low",
        "suggested_name": "Blobs",
        "missing_evidence": "weights",
        "further": [world.curves.pk],
        "no_finer": "on",
    }
    assert reader.post(address(world.unread), said).status_code == 302
    label = Label.objects.get(author=world.contributor)
    assert (label.verdict, label.suggested_name, label.missing_evidence) == ("none of these", "Blobs", "")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, "Choose a family, or say"),
        ({"reading": "77777"}, "That is no family of mixed3b."),
        ({"reading": "curves\0"}, "That is no family of mixed3b."),
        ({"reading": "cannot tell"}, "names the evidence that is missing"),
        ({"reading": "cannot tell", "missing_evidence": "x-rays"}, "Select a valid choice"),
        ({"reading": "none of these", "suggested_name": "x" * 121}, "at most 120 characters"),
        ({"reading": "none of these", "note": "x" * 5001}, "at most 5000 characters"),
        ({"reading": "none of these", "note": "a\0b"}, "Null characters are not allowed."),
        ({"reading": "none of these", "confidence": "certain"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_taken_is_told_on_the_page(reader, world, said, sentence):
    response = reader.post(address(world.unread), {"confidence": "medium"} | said)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not Label.objects.filter(author=world.contributor).exists()


def test_families_and_evidence_of_others_are_not_taken(reader, world):
    foreign = make_family(make_network("other").layers.get(name="mixed3b"), "Curves")
    response = reader.post(address(world.unread), {"reading": foreign.pk, "confidence": "medium"})
    assert response.status_code == 422
    foreign_evidence = world.agreed.evidence.first().current.pk
    said = {"reading": world.curves.pk, "confidence": "medium", "seen": [foreign_evidence]}
    assert reader.post(address(world.unread), said).status_code == 302
    assert not Label.objects.get(author=world.contributor).seen.exists()


def test_visitors_and_admins_are_told_why_not(client, world):
    said = {"reading": world.curves.pk, "confidence": "medium"}
    response = client.post(address(world.unread), said)
    assert response.status_code == 403
    assert "Sign in to label neurons." in response.content.decode()
    client.force_login(world.admin)
    response = client.post(address(world.unread), said)
    assert response.status_code == 403
    assert "no scientific vote" in response.content.decode()
    assert "no scientific vote" in client.get(world.unread.get_absolute_url()).content.decode()


def test_the_next_neuron_is_one_that_asks_and_can_be_seen(reader, world):
    assert reader.get("/label/").url == world.read.get_absolute_url()
    assert reader.get(f"/label/?after={world.read.pk}").url == world.agreed.get_absolute_url()
    assert reader.get("/label/?network=tinynet&layer=conv1").status_code == 200  # nothing there has a picture
    assert reader.get("/label/?network=%00&after=%00").status_code == 302


def test_visitors_sign_in_to_label(client, db):
    assert client.get("/label/").url == "/accounts/login/?next=/label/"


def test_a_reviewer_may_stay_blind(client, world):
    client.force_login(world.reviewer)
    html = client.get(world.read.get_absolute_url()).content.decode()
    assert "Straight, like" not in html
    assert "Show the readings" in html
    assert not Reveal.objects.exists()
    html = client.get(f"{world.read.get_absolute_url()}?readings").content.decode()
    assert "Straight, like" in html
    assert Reveal.objects.filter(person=world.reviewer, neuron=world.read).exists()


def test_a_reading_can_be_changed(reader, world):
    said = {"reading": world.curves.pk, "confidence": "medium"}
    reader.post(address(world.unread), said)
    assert "Change my reading" in reader.get(world.unread.get_absolute_url()).content.decode()
    reader.post(address(world.unread), said | {"reading": world.lines.pk})
    assert [label.family for label in Label.objects.filter(author=world.contributor)] == [world.curves, world.lines]


def test_opening_the_form_by_address_leads_to_the_neuron(reader, world):
    assert reader.get(address(world.unread)).url == world.unread.get_absolute_url()


def test_ids_above_a_thousand_are_not_grouped(reader, world):
    family = make_family(neuron_at("3b:4").layer, "Late", pk=1_234_567)
    html = reader.get(world.unread.get_absolute_url()).content.decode()
    assert f'value="{family.pk}"' in html
