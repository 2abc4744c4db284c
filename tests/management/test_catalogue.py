"""register_network and add_image_set: what goes in, and what is refused without leaving half of it."""

import io
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from taxonomy import storage
from taxonomy.management.commands import register_network
from taxonomy.models import Event, Image, ImageSet, Network, Neuron, Role
from tests.factory import make_user, picture
from tests.shared import DATA, needs_data

pytestmark = pytest.mark.django_db

WEIGHTS = DATA / "squeezenet1_0" / "squeezenet1_0.safetensors"


def run(*words: object, **options: object) -> str:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out, stderr=out, **options)
    return out.getvalue()


def test_the_curve_network() -> None:
    assert "300 neurons, with weights" in run(
        "register_network", "curve_network", title="By hand", licence="Apache-2.0"
    )
    network = Network.objects.get()
    assert (network.name, network.title, network.runs, network.weights_file) == ("curve_network", "By hand", True, "")
    with pytest.raises(CommandError, match=r"There is a network 'curve_network' already\. Choose another with --name"):
        run("register_network", "curve_network")


@needs_data
def test_squeezenet_with_its_weights() -> None:
    run("register_network", "squeezenet1_0", "--weights", WEIGHTS, "--source", "torchvision")
    network = Network.objects.get()
    assert storage.read(network.weights_file) == WEIGHTS.read_bytes()
    assert (network.weights_suffix, len(network.weights_digest), network.layers.count()) == (".safetensors", 64, 9)


@pytest.mark.parametrize(
    ("words", "content", "sentence"),
    [
        (["--", "--nonet"], None, "--nonet"),
        (["squeezenet1_0", "--weights", "FILE"], b"cos\nsystem\n(S'touch /tmp/owned'\ntR.", "weights"),
        (["--as", "nobody", "curve_network"], None, "There is nobody called 'nobody' here."),
        (["--as", "ada", "curve_network"], None, "Only admins register networks"),
    ],
    ids=["unknown", "code", "nobody", "contributor"],
)
def test_what_cannot_be_registered(tmp_path: Path, words: list[str], content: bytes | None, sentence: str) -> None:
    make_user("ada")
    file = tmp_path / "weights.pt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        run("register_network", *(str(file) if word == "FILE" else word for word in words))
    assert sentence in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert not Network.objects.exists()
    assert not Event.objects.exists()
    assert not (tmp_path / "artifacts").exists()


def test_without_a_laboratory(monkeypatch, tmp_path: Path) -> None:
    nothing = tmp_path / "python"
    nothing.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n")
    nothing.chmod(0o755)
    monkeypatch.setattr(register_network.sys, "executable", str(nothing))
    with pytest.raises(CommandError, match=r"No module named 'torch'\. Register networks where PyTorch is installed"):
        run("register_network", "curve_network")


@needs_data
def test_a_disk_that_is_full_takes_the_row_back(monkeypatch) -> None:
    def full(source: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "put_file", full)
    with pytest.raises(CommandError, match="No space left on device"):
        run("register_network", "squeezenet1_0", "--weights", WEIGHTS)
    assert not Network.objects.exists()
    assert not Neuron.objects.exists()


def test_an_image_set_names_what_it_leaves_out(tmp_path: Path) -> None:
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(picture(form="PNG"))
    (tmp_path / "broken.jpg").write_bytes(b"x")
    said = run("add_image_set", "some", tmp_path, licence="CC0")
    assert "Left out broken.jpg: not a picture." in said
    assert "Added some: 4 pictures, 1 left out." in said
    assert "5 of 5" in said
    assert (ImageSet.objects.get().count, ImageSet.objects.get().licence) == (4, "CC0")
    with pytest.raises(CommandError, match="There is an image set 'some' already"):
        run("add_image_set", "some", tmp_path)


def test_classes_by_order_and_by_file(tmp_path: Path) -> None:
    for name in ("b.png", "c.png", "d.png"):
        (tmp_path / name).write_bytes(picture(form="PNG"))
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert "3 pictures, 1 left out, 3 with their class" in run("add_image_set", "by-order", tmp_path, classes="sorted")
    # The file that could not be read counts: those behind it keep their place.
    assert [image.parameters for image in Image.objects.all()] == [{"class": 1}, {"class": 2}, {"class": 3}]
    (tmp_path / "classes.csv").write_text("name,class\nd.png,7\n\nb.png, 0\n")
    assert "2 with their class" in run("add_image_set", "by-file", tmp_path, classes=tmp_path / "classes.csv")
    by_file = Image.objects.filter(image_set__name="by-file")
    assert {image.name: image.parameters for image in by_file} == {
        "b.png": {"class": 0},
        "c.png": {},
        "d.png": {"class": 7},
    }


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("b.png,cat\n", "line 1: it should be a picture's name and its class"),
        ("name,class\nb.png,-1\n", "line 2: it should be a picture's name and its class"),
        ("b.png\n", "line 1: it should be"),
        ("b.png,1\ne.png,1\n", "line 2: there is no picture 'e.png'"),
        ("b.png,1\nb.png,2\n", "line 2: 'b.png' stands there twice"),
        ("name,class\n", "gives no picture a class"),
        ("\x00\xff", "classes.csv"),
    ],
)
def test_classes_that_cannot_be_read(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "b.png").write_bytes(picture(form="PNG"))
    (tmp_path / "classes.csv").write_text(lines, encoding="latin-1")
    with pytest.raises(CommandError, match=re.escape(said)):
        run("add_image_set", "some", tmp_path, classes=tmp_path / "classes.csv")
    with pytest.raises(CommandError, match="cannot be read as CSV"):
        run("add_image_set", "some", tmp_path, classes=tmp_path / "gone.csv")
    assert not ImageSet.objects.exists()


def test_folders_that_give_none(tmp_path: Path) -> None:
    make_user("edda", role=Role.EDITOR)
    with pytest.raises(CommandError, match="there is no picture in it"):
        run("add_image_set", "some", tmp_path)
    with pytest.raises(CommandError, match="is not a folder"):
        run("add_image_set", "some", tmp_path / "gone")
    with pytest.raises(CommandError, match="Only admins"):
        run("add_image_set", "some", tmp_path, "--as", "edda")
    assert not ImageSet.objects.exists()
