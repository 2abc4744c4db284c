from pathlib import Path

import pytest

from taxonomy import storage
from taxonomy.models import Artifact, Evidence, Job
from taxonomy.recipes import KINDS
from tests.factory import add_version, make_network


def test_a_permalink_never_changes_what_it_shows(client, world):
    evidence = Evidence.objects.get(neuron=world.read, kind="feature_visualization")
    first = evidence.current
    before = client.get(first.get_absolute_url()).content.decode()
    assert "There is a newer version." not in before
    add_version(evidence, [("image", b"other", ".webp")])
    after = client.get(first.get_absolute_url()).content.decode()
    assert first.artifacts.get(name="image").sha256 in after
    assert "There is a newer version." in after
    for words in ("steps", str(KINDS["feature_visualization"].variants[0]["steps"]), "w" * 64, "cpu", evidence.key):
        assert words in after


def test_artifacts_are_served_for_ever_under_their_digest(client, world):
    file = Artifact.objects.filter(name="image").first()
    address = f"/artifacts/{file.sha256}{file.suffix}"
    response = client.get(address)
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["Content-Type"] == "image/webp"
    assert len(b"".join(response.streaming_content)) == file.size
    assert client.get(address, headers={"If-None-Match": response["ETag"]}).status_code == 304
    assert client.get(f"/artifacts/{file.sha256}.png").status_code == 404
    assert client.post(address).status_code == 405


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: (file.unlink(), file.mkdir())], ids=["gone", "unreadable"])
def test_a_file_that_the_store_cannot_give_is_told(client, world, harm):
    file = Artifact.objects.filter(name="image").first()
    harm(storage.path(file.sha256))
    response = client.get(f"/artifacts/{file.sha256}{file.suffix}")
    assert response.status_code == 404
    assert "gone from the store" in response.content.decode()


def test_a_sprite_is_served_too(client, world):
    assert client.get(f"/artifacts/{world.layer.sprite.sha256}.webp").status_code == 200


def test_evidence_is_asked_for_once(client, world):
    client.force_login(world.contributor)
    asked = {"kinds": ["dataset_examples", "weights"], "image_set": "pictures"}
    response = client.post("/networks/tinynet/mixed3b/5/request/", asked, follow=True)
    assert "Asked for" in response.content.decode()
    jobs = Job.objects.count()
    response = client.post("/networks/tinynet/mixed3b/5/request/", asked, follow=True)
    assert "there already, or under way" in response.content.decode()
    assert Job.objects.count() == jobs


def test_bad_requests_for_evidence_are_told(client, world):
    client.force_login(world.contributor)
    for asked, sentence in (
        ({}, "Choose at least one kind"),
        ({"kinds": ["x-rays"]}, "Select a valid choice"),
        ({"kinds": ["kernels"]}, "Select a valid choice"),  # not of this layer
        ({"kinds": ["weights"], "image_set": "nowhere"}, "There is no such image set."),
        ({"kinds": ["weights"], "image_set": "a\0b"}, "Null characters are not allowed."),
        ({"kinds": ["dataset_examples"]}, "needs an image set"),
    ):
        response = client.post("/networks/tinynet/mixed3b/5/request/", asked, follow=True)
        assert sentence in response.content.decode().replace("&#x27;", "'"), asked


def test_a_whole_layer_leads_to_the_job(client, world):
    client.force_login(world.contributor)
    response = client.post("/networks/tinynet/mixed3b/request/", {"kinds": ["weights"]})
    assert response.url == Job.objects.first().get_absolute_url()


def test_nothing_is_computed_without_weights_or_account(client, world):
    assert client.post("/networks/tinynet/mixed3b/5/request/", {"kinds": ["weights"]}).status_code == 403
    make_network("bare", weights_digest="")
    client.force_login(world.contributor)
    response = client.post("/networks/bare/mixed3b/5/request/", {"kinds": ["weights"]})
    assert response.status_code == 403
    assert "a catalogue without weights" in response.content.decode()
