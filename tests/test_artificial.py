"""From a note to an artificial network beside the natural one: downloaded, run, registered, measured, found alike."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from taxonomy.actions import evidence, families, jobs, networks
from taxonomy.interchange import distill
from taxonomy.management.commands.load_demo import documents
from taxonomy.models import FamilyLink, ImageSet, Job, Network, Note, NoteVersion, Role, User
from tests.factory import make_user
from tests.workers.test_tasks import Workers, wait
from tests.workers.test_tasks import workers as workers
from workers import stimuli, zoo

PICTURES = 70


def note_about(network: Network) -> Note:
    """A note that draws early curves and lines into curves."""
    ends = {
        f"{layer}/{name}": str(network.layers.get(name=layer).families.get(name=name).public_id)
        for layer, name in (("mixed3a", "Early Curves"), ("mixed3a", "Lines"), ("mixed3b", "Curves"))
    }
    nodes = [{"id": node, "neuron": "", "family": kin, "x": 0, "y": 0} for node, kin in ends.items()]
    edges = [
        {"source": source, "target": "mixed3b/Curves", "weight": weight, "evidence": ""}
        for source, weight in (("mixed3a/Early Curves", 0.05), ("mixed3a/Lines", 0.015))
    ]
    author = make_user()
    note = Note.objects.create(network=network, created_by=author, opened_at=timezone.now(), opened_with=1)
    graph = {"nodes": nodes, "edges": edges, "threshold": 0.3}
    NoteVersion.objects.create(note=note, number=1, title="Curves", subgraph=graph, saved_by=author)
    return note


def natural_network() -> Network:
    known = zoo.describe("curve_network")
    network = networks.register(User.objects.system(), name="curve_network", description=known)
    records = [
        distill.parse({"layer": layer, "families": documents(found)}, layer)
        for layer, found in known["families"].items()
    ]
    families.import_taxonomy(User.objects.system(), network, records)
    return network


def ask(network: Network, pictures: ImageSet) -> None:
    """What two networks are compared by, of the two layers that curves are made in."""
    layers = list(network.layers.filter(name__in=("mixed3a", "mixed3b")))
    made: list[dict[str, Any]] = [
        {"kinds": ["tuning_curves"], "parameters": {"tuning_curves": {"stimulus": "curve"}}},
        {"kinds": ["neighbours"], "parameters": {"neighbours": {"by": "rotation"}}},
        {"kinds": ["neighbours"], "parameters": {"neighbours": {"by": "activation"}}, "image_set": pictures},
    ]
    for asked in made:
        evidence.request(User.objects.system(), network, layers=layers, **asked)
    early, late = (
        network.layers.get(name=layer).families.get(name=name)
        for layer, name in (("mixed3a", "Early Curves"), ("mixed3b", "Curves"))
    )
    evidence.request(User.objects.system(), network, families=[late], other=early, kinds=["family_weights"])


@pytest.mark.slow
@pytest.mark.alone
def test_a_circuit_built_by_hand_is_found_to_be_like_the_natural_one(
    workers: Workers, client: Client, tmp_path: Path
) -> None:
    natural = natural_network()
    downloaded = client.get(f"/notes/{note_about(natural).public_id}/artificial.py")
    file = tmp_path / "by_hand.py"
    file.write_bytes(downloaded.content)
    ran = subprocess.run([sys.executable, "-I", str(file)], cwd=tmp_path, capture_output=True, text=True, check=True)
    # The commands that it prints, as they are.
    words = re.sub(r"\\\n", " ", ran.stdout).split("./run manage ")
    register, take_over = (command.split() for command in words[1:3])
    call_command(*register)
    editor = make_user(role=Role.EDITOR)
    files = sorted(str(one) for one in tmp_path.glob("by_hand_*.json"))
    assert take_over[:2] == ["import_taxonomy", "artificial"]
    call_command(*take_over[:2], *files, "--as", editor.username)
    artificial = Network.objects.get(name="artificial")
    assert json.loads(Path(files[0]).read_text())["families"][0]["symmetry"] == "rotation"

    folder = tmp_path / "pictures"
    stimuli.write(folder, PICTURES)
    call_command("add_image_set", "drawn", str(folder))
    pictures = ImageSet.objects.get()
    for network in (natural, artificial):
        ask(network, pictures)
    workers.start()
    workers.start()
    wait(lambda: not Job.objects.filter(status__in=jobs.LIVE).exists(), workers, seconds=900)
    assert not Job.objects.exclude(status="done").exists()

    client.force_login(editor)
    beside = client.get("/universality/?first=curve_network&second=artificial").content.decode()
    curves = beside.index("Curves of mixed3b side by side with")
    assert beside[curves:].startswith("Curves of mixed3b side by side with Curves of mixed3b")
    ends = {
        end: network.layers.get(name="mixed3b").families.get(name="Curves").public_id
        for end, network in (("source", natural), ("target", artificial))
    }
    client.post("/universality/link/", ends)
    assert FamilyLink.objects.filter(kind="analogue").count() == 2

    asked = [f"{network}/mixed3b/Curves" for network in ("curve_network", "artificial")]
    text = client.get(f"/compare/?{urlencode([('with', one) for one in asked])}").content.decode()
    likeness = float(re.findall(r"<td>24 of 24</td>.*?<td>([\d.]+)</td></tr></tbody>", text, re.S)[-1])
    assert likeness >= 0.95
    widths = [float(width) for width in re.findall(r"<td>24 of 24</td><td>([\d.]+)°</td>", text)]
    assert len(widths) == 2
    assert all(28 <= width <= 70 for width in widths)
    equivariance = [float(found) for found in re.findall(r"Equivariance <b>([\d.]+)</b>", text)]
    assert len(equivariance) == 2
    assert min(equivariance) >= 0.95
    print(f"alike {likeness}, widths {widths}, equivariance {equivariance}")
