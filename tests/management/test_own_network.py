"""A module of one's own, from the command line to evidence."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from django.core.management import call_command
from django.core.management.base import CommandError

from taxonomy import storage
from taxonomy.models import Network
from tests.factory import make_user
from tests.own_network import FILE
from workers import tasks
from workers.evidence import Finding
from workers.evidence.kernels import kernels
from workers.evidence.weights import weights

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    parts: dict[str, Any] = {}
    exec(FILE, parts)
    generator = torch.Generator().manual_seed(0)
    state = parts["make"]().state_dict()
    for name, values in state.items():
        if values.is_floating_point():
            values.uniform_(0.5 if name.endswith("_var") else -0.5, 1.0, generator=generator)
    safetensors.torch.save_file(state, tmp_path / "mine.safetensors")
    return tmp_path


def register(*words: object) -> str:
    out = io.StringIO()
    call_command("register_network", *map(str, words), stdout=out, stderr=out)
    return out.getvalue()


def own(files: Path, *words: object, module: str = "mine.py:make") -> str:
    options = ["--module", files / module, "--weights", files / "mine.safetensors", "--input-size", 33]
    return register("mine", *options, *words)


def test_from_a_file_to_evidence(files: Path) -> None:
    said = own(files, "--mean", 0.5, 0.5, 0.5, "--std", 0.25, 0.25, 0.25, "--class-names", files / "names.txt")
    assert "Registered mine: 4 layers, 24 neurons, with weights." in said
    network = Network.objects.get()
    assert (network.architecture, network.class_names, network.parameters) == ("mine.py", ["cat", "dog"], 2358)
    assert network.preprocessing["mean"] == [0.5, 0.5, 0.5]
    assert network.definition == {"file": storage.digest_of(files / "mine.py"), "factory": "make", "layers": []}
    assert storage.read(network.definition["file"]).decode() == FILE
    (files / "mine.py").unlink()  # the workers have what they need
    loaded = tasks._load(network)
    assert loaded.class_names == ("cat", "dog")
    raw = list(kernels(loaded, [("conv1", 1)]))
    into = list(weights(loaded, [("stage_1", 7)], layer="stage_0"))
    for finding in (*raw, *into):
        assert isinstance(finding, Finding)
        assert json.dumps(finding.data, allow_nan=False)
    assert isinstance(into[0], Finding)
    assert into[0].arrays["kernels"].shape == (6, 7, 7)
    assert np.abs(into[0].arrays["kernels"]).max() > 0
    # What is not the file that was registered any more is not run.
    tasks._load_once.cache_clear()
    stored = storage.path(network.definition["file"])
    stored.write_text(FILE + f"\nopen({str(files / 'ran')!r}, 'w')\n")
    with pytest.raises(tasks.zoo.ZooError, match="is not the one that was registered, and was not run"):
        tasks._load(network)
    assert not (files / "ran").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mine", "--module", "mine.py"], "Name the function too: --module FILE.py:FUNCTION"),
        (["curve_network", "--layer", "conv1"], "--layer is for a module of your own"),
        (["mine", "--module", "FILES/mine.py:make", "--class-names", "FILES/gone"], "class names cannot be read"),
        (["--as", "ada", "mine", "--module", "FILES/mine.py:make"], "Only admins register networks"),
    ],
    ids=["no function", "stray", "no names", "no admin"],
)
def test_what_is_refused(files: Path, words: list[str], sentence: str) -> None:
    make_user("ada")
    with pytest.raises(CommandError, match=sentence):
        register(*(word.replace("FILES", str(files)) for word in words))
    assert not Network.objects.exists()
    assert not (files / "artifacts").exists()


def test_the_laboratorys_refusal_is_passed_on(files: Path) -> None:
    with pytest.raises(CommandError, match=r"stage\.0\.conv1 cannot be a layer: something in the network goes around"):
        own(files, "--layer", "stage.0.conv1")
    assert not Network.objects.exists()
