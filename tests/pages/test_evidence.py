from pathlib import Path

import pytest

from taxonomy import storage
from taxonomy.models import Artifact, Comparison, Evidence, Job, Photograph
from taxonomy.recipes import KINDS
from tests.factory import add_version, make_evidence, make_network, make_user, neuron_at, picture


def test_a_permalink_never_changes_what_it_shows(client, world):
    evidence = Evidence.objects.filter(neuron=world.read, kind="feature_visualization").first()
    first = evidence.current
    before = client.get(first.get_absolute_url()).content.decode()
    assert "Superseded" not in before
    add_version(evidence, [("image", b"other", ".webp")])
    after = client.get(first.get_absolute_url()).content.decode()
    assert first.artifacts.get(name="image").sha256 in after
    assert "Superseded" in after
    evidence.refresh_from_db()
    assert f'<a href="{evidence.current.get_absolute_url()}">there is a newer version</a>' in after
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


def test_a_version_of_an_earlier_recipe_is_superseded_by_one_of_the_next(client, world):
    later = Evidence.objects.get(neuron=world.read, kind="weights")
    values = {"direction": "in"}  # as it was before other layers could be chosen
    earlier = make_evidence(world.read, "weights", data=[], parameters=values)
    Evidence.objects.filter(pk=earlier.pk).update(recipe_version=1)
    html = client.get(earlier.current.get_absolute_url()).content.decode()
    assert f'<a href="{later.current.get_absolute_url()}">there is a newer version</a>' in html
    assert "Superseded" not in client.get(later.current.get_absolute_url()).content.decode()


def test_every_kind_has_a_page_and_a_card_for_other_sites(client, world):
    for row in Evidence.objects.filter(neuron=world.read).select_related("current"):
        address = row.current.get_absolute_url()
        html = client.get(address).content.decode()
        assert "spoilt there" not in html, row.kind
        assert row.key in html
        assert f"/evidence/{row.current.public_id}/embed" in html
        card = client.get(f"{address}embed")
        assert "frame-ancestors *" in card["Content-Security-Policy"], row.kind
        assert "X-Frame-Options" not in card
        assert "spoilt there" not in card.content.decode()
        assert "frame-ancestors 'none'" in client.get(address)["Content-Security-Policy"]


def test_photographs_are_served(client, world):
    file = Photograph.objects.first()
    response = client.get(f"/artifacts/{file.sha256}.webp")
    assert response["Content-Type"] == "image/webp"
    assert client.get(f"/artifacts/{file.sha256}.png").status_code == 404


def compared(world, **fields) -> Comparison:
    row = Evidence.objects.filter(neuron=world.read, kind="feature_visualization").first()
    fields.setdefault("environment", row.current.environment)
    return Comparison.objects.create(version=row.current, requested_by=world.contributor, **fields)


def test_a_comparison_waits_and_looks_again_by_itself(client, world):
    waiting = compared(world)
    html = client.get(waiting.get_absolute_url()).content.decode()
    assert "Waiting for a worker." in html
    assert f'hx-get="{waiting.get_absolute_url()}" hx-trigger="every 2s"' in html
    fragment = client.get(waiting.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith('<div id="comparison"')
    Comparison.objects.update(status="running")
    assert "Being made now." in client.get(waiting.get_absolute_url()).content.decode()


def test_a_comparison_says_whether_it_is_identical_and_by_how_much_not(client, world):
    same = compared(world, status="done", identical=True)
    html = client.get(same.get_absolute_url()).content.decode()
    assert "<h1>Identical</h1>" in html
    assert "hx-trigger" not in html
    assert html.count("no pixel differs") == 4
    data = picture(8, (1, 2, 3))
    file = {"sha256": storage.put(data), "suffix": ".webp", "size": len(data)}
    other = compared(
        world,
        status="done",
        identical=False,
        pixels={"image": 3},
        metrics={"value": 0.00125},
        files={"image": file},
        environment={"device": "cuda"},
    )
    html = client.get(other.get_absolute_url()).content.decode()
    assert "<h1>It differs</h1>" in html
    assert "pixels differ by up to 3 of 255" in html
    assert "0.00125" in html
    assert "The environment is not the same" in html
    assert "cuda" in html
    address = f"/comparisons/{other.public_id}/image"
    assert f'src="{address}"' in html
    assert b"".join(client.get(address).streaming_content) == data
    assert client.get(f"/comparisons/{other.public_id}/elsewhere").status_code == 404
    listed = client.get(other.version.get_absolute_url()).content.decode()
    assert "It differs" in listed
    assert "Identical" in listed


def test_a_comparison_that_failed_shows_no_picture(client, world):
    html = client.get(compared(world, status="failed", reason="No room left.").get_absolute_url()).content.decode()
    assert "No room left." in html
    assert "<img" not in html.split("<main")[1]


def test_anybody_signed_in_may_run_a_recipe_again(client, world):
    row = Evidence.objects.filter(neuron=world.read, kind="feature_visualization").first()
    address = f"{row.current.get_absolute_url()}reproduce/"
    assert "Sign in to request evidence." in client.get(row.current.get_absolute_url()).content.decode()
    assert client.post(address).status_code == 403
    assert client.get(address).status_code == 405
    client.force_login(world.contributor)
    response = client.post(address)
    assert response.url == Comparison.objects.get().get_absolute_url()
    assert Comparison.objects.get().requested_by == world.contributor


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


def test_what_is_asked_for_can_be_one_layer_one_number_or_one_place(client, world):
    client.force_login(world.contributor)
    address = f"{world.read.get_absolute_url()}request/"
    place = {"image": 1, "row": 1, "column": 2, "layer": "conv1"}
    for asked, where, made in (
        ({"kinds": "attribution", **place}, "?example=1-1-2#example", place),
        ({"kinds": "facets", "facets": 5}, "?facets=5#facets", {"facets": 5}),
    ):
        response = client.post(address, {**asked, "image_set": "pictures"})
        assert response.url == world.read.get_absolute_url() + where
        rows = Evidence.objects.filter(neuron=world.read, kind=asked["kinds"]).order_by("-pk")
        assert rows[0].parameters.items() >= made.items()
        assert rows[0].status == "queued"
    html = client.get(f"{world.read.get_absolute_url()}?example=1-1-2").content.decode()
    assert "Waiting for a worker." in html.split('id="example"')[1]


def test_weights_are_asked_for_to_one_layer_alone(client, db):
    network = make_network("deep", layers={"a": 2, "b": 2, "c": 2})
    neuron = neuron_at("c:0", network)
    client.force_login(make_user())
    asked = {"kinds": "weights", "direction": "in", "layer": "a"}
    response = client.post(f"{neuron.get_absolute_url()}request/", asked)
    assert response.url == f"{neuron.get_absolute_url()}?in=a#weights-in-a"
    assert [row.parameters for row in Evidence.objects.all()] == [{"direction": "in", "layer": "a"}]
    for wrong in ({"layer": "x"}, {"direction": "up"}, {"direction": "out", "layer": "a"}):
        response = client.post(f"{neuron.get_absolute_url()}request/", asked | wrong, follow=True)
        assert 'role="alert"' in response.content.decode(), wrong
    assert Evidence.objects.count() == 1


def test_a_whole_network_can_be_asked_for(client, world):
    address = f"{world.network.get_absolute_url()}request/"
    assert client.post(address, {"kinds": "weights"}).status_code == 403
    assert "Sign in to request evidence." in client.get(world.network.get_absolute_url()).content.decode()
    client.force_login(world.contributor)
    response = client.post(address, {"kinds": ["weights"]})
    job = Job.objects.first()
    assert response.url == job.get_absolute_url()
    assert set(Evidence.objects.filter(shard__job=job).values_list("kind", flat=True)) == {"weights"}
    client.post(address, {"all": "1", "image_set": "pictures"})
    made = set(Evidence.objects.filter(shard__job=Job.objects.first()).values_list("kind", flat=True))
    assert {"facets", "weight_factors", "kernels", "dataset_examples"} <= made
    assert "attribution" not in made
