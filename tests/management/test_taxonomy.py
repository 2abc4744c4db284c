"""import_taxonomy and export_taxonomy."""

import io
import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from taxonomy.models import Evidence, Family, Network, Role
from tests.factory import make_network, make_user, picture

pytestmark = pytest.mark.django_db

CURVES = {"layer": "mixed3b", "source": "An article", "families": [{"name": "Curves", "units": [3, 1, 3]}]}


@pytest.fixture
def network() -> Network:
    make_user("edda", role=Role.EDITOR)
    return make_network()


def run(*words: object) -> str:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out, stderr=out)
    return out.getvalue()


def file(folder: Path, **change: object) -> Path:
    path = folder / "mixed3b.json"
    path.write_text(json.dumps(CURVES | change))
    return path


def test_an_icon_that_links_elsewhere_is_left_out(network: Network, tmp_path: Path) -> None:
    icons, private = tmp_path / "icons", tmp_path / "private.png"
    icons.mkdir()
    private.write_bytes(picture(form="PNG"))
    (icons / "mixed3b_1.png").symlink_to(private)
    said = run("import_taxonomy", "tinynet", file(tmp_path), "--as", "edda", "--icons", icons)
    assert "Left out mixed3b_1.png: a link that leads out of the folder." in said
    assert not Evidence.objects.exists()


def test_in_with_icons_and_out(network: Network, tmp_path: Path) -> None:
    icons = tmp_path / "icons"
    icons.mkdir()
    for name in ("mixed3b_1.png", "mixed3b_2.jpg", "conv1_0.png", "mixed3b_8.png", "notes_1.png", "mixed3b_x.png"):
        (icons / name).write_bytes(picture(form="JPEG" if name.endswith("jpg") else "PNG"))
    (icons / "mixed3b_1.jpg").write_bytes(picture(form="JPEG"))
    (icons / "mixed3b_3.png").write_bytes(b"broken")
    said = run("import_taxonomy", "tinynet", file(tmp_path), "--as", "edda", "--icons", icons)
    assert "mixed3b.json: family 'Curves' repeats unit 3; taken once." in said
    assert "Left out mixed3b_3.png: not a picture." in said
    assert "Left out mixed3b_8.png: tinynet has no such unit." in said
    assert "Left out mixed3b_1.png: this unit has a picture already." in said
    assert "1 families, 2 memberships, 2 pictures; 1 repeats taken once" in said
    assert sorted(Evidence.objects.values_list("neuron__index", flat=True)) == [1, 2]
    said = run("export_taxonomy", "tinynet", tmp_path / "out" / "new", "--form", "distill")
    written = json.loads((tmp_path / "out" / "new" / "mixed3b.json").read_text())
    assert written == {
        "model": "tinynet",
        "layer": "mixed3b",
        "layer_size": 8,
        "source": "An article",
        "families": [{"name": "Curves", "units": [3, 1]}],
    }
    assert "1 families, 2 memberships in 1 layers" in said
    run("export_taxonomy", "tinynet", tmp_path / "out", "--form", "csv")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("new", "families.csv", "memberships.csv", "neurons.csv")
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"families": [{"name": "Curves", "units": [8]}]}, "mixed3b.json: family 'Curves' names unit 8"),
        ({"layer": "x"}, "mixed3b.json: tinynet has no layer 'x'"),
        ({"families": 3}, "mixed3b.json: 'families' must be a list"),
    ],
)
def test_files_that_do_not_fit(network: Network, tmp_path: Path, change: dict, sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        run("import_taxonomy", "tinynet", file(tmp_path, **change), "--as", "edda")
    assert sentence in str(caught.value)
    assert not Family.objects.exists()


def test_one_bad_file_among_good_ones_keeps_all_out(network: Network, tmp_path: Path) -> None:
    bad = tmp_path / "conv1.json"
    bad.write_text(json.dumps({"layer": "conv1", "families": [{"name": "Gabor", "units": [0, 4]}]}))
    with pytest.raises(CommandError, match=r"conv1\.json: family 'Gabor' names unit 4"):
        run("import_taxonomy", "tinynet", file(tmp_path), bad, "--as", "edda")
    assert not Family.objects.exists()


def test_who_and_where(network: Network, tmp_path: Path) -> None:
    make_user("ada")
    good = file(tmp_path)
    for words, sentence in (
        (["import_taxonomy", "tinynet", good], "--as"),
        (["import_taxonomy", "tinynet", good, "--as", "ada"], "Only editors and admins import"),
        (["import_taxonomy", "tinynet", good, "--as", "bob"], "nobody called 'bob'"),
        (["import_taxonomy", "x", good, "--as", "edda"], "Networks: tinynet"),
        (["import_taxonomy", "tinynet", tmp_path / "gone.json", "--as", "edda"], "No such file"),
        (["import_taxonomy", "tinynet", good, "--as", "edda", "--icons", tmp_path / "gone"], "is not a folder"),
        (["export_taxonomy", "tinynet", tmp_path, "--form", "csv"], "no families yet"),
        (["export_taxonomy", "x", tmp_path, "--form", "csv"], "Networks: tinynet"),
        (["export_taxonomy", "tinynet", tmp_path, "--form", "xml"], "invalid choice"),
    ):
        with pytest.raises(CommandError) as caught:
            run(*words)
        assert sentence in str(caught.value), words
    run("import_taxonomy", "tinynet", good, "--as", "edda")
    with pytest.raises(CommandError, match="has a family 'Curves' already"):
        run("import_taxonomy", "tinynet", good, "--as", "edda")
    with pytest.raises(CommandError, match="cannot be written to"):
        run("export_taxonomy", "tinynet", good, "--form", "csv")
