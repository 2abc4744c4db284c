import uuid

import pytest

from taxonomy.actions import leases
from taxonomy.models import EvidenceVersion, Label, Lease, Reveal
from tests.factory import make_evidence, make_family, make_network, make_older, neuron_at


def address(neuron) -> str:
    return f"{neuron.get_absolute_url()}label/"


@pytest.fixture
def reader(client, world):
    client.force_login(world.contributor)
    return client


def test_a_reading_is_taken_and_others_are_shown_a_minute_later(reader, world):
    seen = list(EvidenceVersion.objects.filter(evidence__neuron=world.read).values_list("pk", flat=True))
    said = {"reading": world.curves.pk, "confidence": "high", "note": "Bends.", "seen": seen}
    response = reader.post(address(world.read), said, follow=True)
    label = Label.objects.get(author=world.contributor)
    assert label.family == world.curves
    assert label.blind
    assert set(label.seen.values_list("pk", flat=True)) == set(seen)
    html = response.content.decode()
    assert "Straight, like" not in html
    assert "Take it back" in html
    assert "Next neuron" in html
    assert not Reveal.objects.filter(person=world.contributor, neuron=world.read).exists()
    make_older(label)
    html = reader.get(world.read.get_absolute_url()).content.decode()
    assert "Straight, like" in html
    assert "Take it back" not in html
    assert Reveal.objects.filter(person=world.contributor, neuron=world.read).exists()


def test_others_readings_are_shown_at_once_on_request(reader, world):
    reader.post(address(world.read), {"reading": world.curves.pk, "confidence": "medium"})
    label = Label.objects.get(author=world.contributor)
    html = reader.post("/label/show/", {"label": label.public_id}, follow=True).content.decode()
    assert "Straight, like" in html
    assert "Take it back" not in html
    response = reader.post("/label/undo/", {"label": label.public_id, "from": "neuron"}, follow=True)
    assert "change your reading instead" in response.content.decode()
    assert Label.objects.get(pk=label.pk).undone_at is None


def test_a_reading_is_taken_back_on_the_neurons_page(reader, world):
    reader.post(address(world.read), {"reading": world.curves.pk, "confidence": "medium"})
    label = Label.objects.get(author=world.contributor)
    response = reader.post("/label/undo/", {"label": label.public_id, "from": "neuron"})
    assert response.url == f"{world.read.get_absolute_url()}#label"
    assert Label.objects.get(pk=label.pk).undone_at is not None
    html = reader.get(world.read.get_absolute_url()).content.decode()
    assert "is taken back" in html
    assert "Record my reading" in html
    assert "Straight, like" not in html


def test_nobody_takes_back_or_shows_with_anothers_label(reader, world):
    label = Label.objects.filter(neuron=world.read).first()
    for verb in ("undo", "show"):
        assert reader.post(f"/label/{verb}/", {"label": label.public_id}).status_code == 404
        assert reader.post(f"/label/{verb}/", {"label": "x"}).status_code == 404
        assert reader.get(f"/label/{verb}/").status_code == 405
    assert Label.objects.get(pk=label.pk).undone_at is None


def test_a_form_that_is_sent_twice_is_taken_once(reader, world):
    said = {"reading": world.curves.pk, "confidence": "medium", "submission": str(uuid.uuid4())}
    for _ in range(2):
        assert reader.post(address(world.unread), said).status_code == 302
    assert Label.objects.filter(author=world.contributor).count() == 1


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
    response = reader.get("/label/")
    assert response.context["neuron"] == world.read
    assert Lease.objects.live().get(person=world.contributor).neuron == world.read
    html = response.content.decode()
    assert "Straight, like" not in html
    assert "of 3 readings" not in html
    make_evidence(neuron_at("3b:5"))
    assert reader.get(f"/label/?after={world.read.pk}").context["neuron"] == neuron_at("3b:5")
    none = reader.get("/label/?network=tinynet&layer=conv1")
    assert "No neuron here has a picture to read yet." in none.content.decode()
    for query in ("network=%00&after=%00", "after=-1", "after=9.x.", "told=x", "again=%00"):
        assert reader.get(f"/label/?{query}").status_code == 200, query
    assert "There is no network" in reader.get("/label/?network=nowhere").content.decode()
    assert "has no layer" in reader.get("/label/?network=tinynet&layer=mixed9").content.decode()


def test_a_reading_in_the_queue_leads_to_the_next(reader, world):
    lease = leases.take(world.contributor)[0]
    said = {"neuron": lease.neuron_id, "token": lease.token, "submission": uuid.uuid4(), "reading": world.curves.pk}
    response = reader.post("/label/", said)
    label = Label.objects.get(author=world.contributor)
    assert response.url == f"/label/?told={label.public_id}"
    html = reader.get(response.url).content.decode()
    assert "read as <b>Curves</b>" in html
    assert "Take it back" in html
    response = reader.post("/label/undo/", {"label": label.public_id})
    assert reader.get(response.url).context["neuron"] == lease.neuron


def test_what_the_queue_cannot_take_is_told_and_kept(reader, world):
    lease = leases.take(world.contributor)[0]
    said = {"neuron": lease.neuron_id, "token": lease.token, "note": "Long thought."}
    response = reader.post("/label/", said)
    assert response.status_code == 422
    assert "Choose a family" in response.content.decode()
    assert "Long thought." in response.content.decode()
    leases.give_back(world.contributor, lease.token)
    said["reading"] = world.curves.pk
    response = reader.post("/label/", said)
    assert response.status_code == 403
    assert "was not handed to you" in response.content.decode()
    assert "Long thought." in response.content.decode()
    for bad in ({"neuron": "x"}, {"neuron": "99999"}, {}, {"neuron": lease.neuron_id, "token": "x"}):
        assert reader.post("/label/", bad).status_code == 404, bad
    assert not Label.objects.filter(author=world.contributor).exists()


def test_a_neuron_is_handed_out_before_it_is_needed(reader, world):
    other = neuron_at("3b:5")
    make_evidence(other)
    reader.get("/label/")
    response = reader.get(f"/label/card/?holding={world.read.pk}")
    assert response.context["neuron"] == other
    assert "<html" not in response.content.decode()
    holding = f"{world.read.pk}.{other.pk}"
    assert reader.get(f"/label/card/?holding={holding}").status_code == 204


def test_admins_do_not_label(client, world):
    client.force_login(world.admin)
    for answer in (client.get("/label/"), client.get("/label/card/"), client.post("/label/", {})):
        assert answer.status_code == 403
        assert "no scientific vote" in answer.content.decode()
    assert not Lease.objects.exists()


def test_few_queries(client, world, django_assert_max_num_queries):
    client.force_login(world.reviewer)  # who never meets a gold neuron, which would add two
    client.get("/label/?network=tinynet&layer=mixed3b")
    with django_assert_max_num_queries(15):
        client.get("/label/?network=tinynet&layer=mixed3b")


def test_editors_set_how_many_readings_are_asked_for(client, world):
    where = f"{world.layer.get_absolute_url()}overlap/"
    for person in (None, world.contributor, world.reviewer, world.admin):
        if person:
            client.force_login(person)
        assert client.post(where, {"overlap": 5}).status_code == 403
        assert "readings a neuron" not in client.get(world.layer.get_absolute_url()).content.decode()
    client.force_login(world.editor)
    assert "3 readings a neuron" in client.get(world.layer.get_absolute_url()).content.decode()
    for bad in ("2", "10", "x", ""):
        assert "asks for 3 to 9 readings" in client.post(where, {"overlap": bad}, follow=True).content.decode()
    html = client.post(where, {"overlap": 5}, follow=True).content.decode()
    assert "asks for 5 readings now" in html
    world.unread.refresh_from_db()
    assert world.unread.asks == 5


def test_visitors_sign_in_to_label(client, db):
    assert client.get("/label/").url == "/accounts/login/?next=/label/"


def test_a_reviewer_may_stay_blind(client, world):
    client.force_login(world.reviewer)
    html = client.get(world.read.get_absolute_url()).content.decode()
    assert "Straight, like" not in html
    assert "Show the readings" in html
    assert not Reveal.objects.filter(neuron=world.read).exists()
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
