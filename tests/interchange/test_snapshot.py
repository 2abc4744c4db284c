"""From the record to files and back."""

import csv
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from taxonomy.actions import families, reviews
from taxonomy.interchange import distill, snapshot, tables
from taxonomy.interchange.distill import FamilyRecord, LayerRecord
from taxonomy.models import Membership, Network, Role, User
from tests.factory import make_agreed, make_family, make_label, make_network, make_user, neuron_at
from tests.shared import DATA, needs_data

pytestmark = pytest.mark.django_db


def again(network: Network, folder: Path) -> list[LayerRecord]:
    """Written, and read back."""
    layers = [layer for layer in snapshot.take(network).layers if layer.families]
    return [distill.read(file) for file in distill.write(folder, layers)]


def test_a_reviewed_neuron_is_in_the_export(tmp_path: Path) -> None:
    network = make_network()
    curves = make_family(network.layers.get(name="mixed3b"), "Curves", remark="Bent.")
    make_agreed(neuron_at("3b:5"), curves)
    make_label(neuron_at("3b:6"), family=curves)
    reviews.accept(make_user("rosa", role=Role.REVIEWER), neuron_at("3b:5"))
    (layer,) = again(network, tmp_path)
    assert (layer.layer, layer.model) == ("mixed3b", "tinynet")
    assert layer.families == [FamilyRecord("Curves", [5], "Bent.")]
    tables.write(tmp_path, snapshot.take(network))
    with (tmp_path / "memberships.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["unit"], row["family"], row["reviewer"], row["primary"]) == ("5", "Curves", "rosa", "true")
    with (tmp_path / "neurons.csv").open() as file:
        rows = {int(row["unit"]): row for row in csv.DictReader(file) if row["layer"] == "mixed3b"}
    assert (rows[5]["standing"], rows[5]["readings"]) == ("accepted", "3")
    assert (rows[6]["standing"], rows[6]["readings"]) == ("", "1")  # not settled: how many, not what
    with (tmp_path / "families.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["family"], row["neurons"], row["remark"]) == ("Curves", "1", "Bent.")


def test_what_has_ended_or_retired_is_left_out(tmp_path: Path) -> None:
    network = make_network()
    layer = network.layers.get(name="mixed3b")
    make_family(layer, "Old", units=[1], retired_at=timezone.now())
    make_family(layer, "Curves", units=[2, 3])
    Membership.objects.filter(neuron__index=3).update(ended_at=timezone.now())
    (record,) = again(network, tmp_path)
    assert [(family.name, family.units) for family in record.families] == [("Curves", [2])]


def test_an_import_comes_out_as_it_went_in(tmp_path: Path) -> None:
    went_in = LayerRecord(
        "mixed3b.json",
        "mixed3b",
        [
            FamilyRecord("Arches", [7, 2], "Up.", parent="Curves", confidence="low"),
            FamilyRecord("Curves", [3, 2, 1], "Bent.", symmetry="rotation", parameters={3: -15.0}),
            FamilyRecord("Other Units", [0], kind="catch-all", source="Somebody else"),
        ],
        "An article",
        "tinynet",
        8,
    )
    first, second = make_network("first"), make_network("second")
    families.import_taxonomy(User.objects.system(), first, [went_in])
    came_out = again(first, tmp_path)
    families.import_taxonomy(User.objects.system(), second, came_out)
    (file,) = distill.write(tmp_path, [layer for layer in snapshot.take(second).layers if layer.families])
    assert distill.read(file) == LayerRecord(**vars(came_out[0]) | {"model": "second"})
    assert [family.units for family in came_out[0].families] == [[7, 2], [3, 2, 1], [0]]
    assert [family.parent for family in came_out[0].families] == ["Curves", "", ""]
    for network in (first, second):
        primary = Membership.objects.filter(primary=True, neuron__index=2, family__layer__network=network).get()
        assert primary.family.name == "Arches"


@needs_data
def test_early_vision_in_and_out(tmp_path: Path, capsys) -> None:
    files = sorted((DATA / "early-vision").glob("*.json"))
    layers = {record.layer: record for record in map(distill.read, files)}
    network = make_network("inceptionv1", layers={"conv2d0": 64, "conv2d1": 64, "conv2d2": 192, "mixed3a": 256,
                                                   "mixed3b": 480, "mixed4a": 508, "mixed4b": 512, "mixed4c": 512,
                                                   "mixed4d": 528}, weights_digest="")  # fmt: skip
    make_user("edda", role=Role.EDITOR)
    call_command("import_taxonomy", "inceptionv1", *map(str, files), as_user="edda")
    said = capsys.readouterr().out
    assert "113 families, 1,387 memberships" in said
    assert "mixed4b.json: family 'Dog Heads' repeats unit 327; taken once." in said
    first = network.layers.filter(name__lte="mixed3b")
    assert sum(layer.families.count() for layer in first) == 77
    assert Membership.objects.filter(family__layer__in=first).count() == 1056
    call_command("export_taxonomy", "inceptionv1", str(tmp_path), form="distill")
    assert len(list(tmp_path.iterdir())) == 9
    for file in tmp_path.iterdir():
        came_out, went_in = distill.read(file), layers[file.stem]
        assert (came_out.model, came_out.source) == ("inceptionv1", went_in.source)
        assert [(family.name, family.units, family.comment) for family in came_out.families] == [
            (family.name, list(dict.fromkeys(family.units)), family.comment) for family in went_in.families
        ]
