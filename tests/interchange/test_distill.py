"""The per-layer JSON: what is read, what is refused, and that what is written reads the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from taxonomy.interchange import distill
from taxonomy.interchange.distill import FamilyRecord, FormError, LayerRecord
from tests.shared import DATA, needs_data

GOOD = {"layer": "mixed3b", "families": [{"name": "Curves", "units": [3, 1], "comment": "Bent."}]}


def test_the_published_form() -> None:
    record = distill.parse({**GOOD, "model": "inceptionv1", "layer_size": 480, "source": "An article"}, "mixed3b.json")
    assert (record.layer, record.source, record.model) == ("mixed3b", "An article", "inceptionv1")
    assert record.families == [FamilyRecord("Curves", [3, 1], "Bent.")]


def test_other_units_are_a_catch_all_unless_said_otherwise() -> None:
    families = [{"name": "Other Units", "units": []}, {"name": "Otherwise", "units": [], "kind": "natural"}]
    record = distill.parse({"layer": "a", "families": families}, "a.json")
    assert [family.kind for family in record.families] == ["catch-all", "natural"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layer": None}, "a.json: 'layer' must be a text"),
        ({"layer": "x" * 61}, "at most 60"),
        ({"families": None}, "a.json: 'families' must be a list"),
        ({"families": [3]}, "a.json: a family: 'name' must be"),
        ({"source": 3}, "'source' must be a text"),
    ],
)
def test_layers_that_are_not_of_the_form(change: dict, sentence: str) -> None:
    with pytest.raises(FormError, match=sentence):
        distill.parse(GOOD | change, "a.json")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": ""}, "'name' must be"),
        ({"name": "x" * 121}, "at most 120"),
        ({"name": "a\0b"}, "'name' must be"),
        ({"units": "3"}, "family 'Curves': 'units' must be a list of whole numbers"),
        ({"units": [1.5]}, "whole numbers"),
        ({"units": [True]}, "whole numbers"),
        ({"comment": 3}, "'comment' must be"),
        ({"comment": "x" * 20_001}, "20,000"),
        ({"kind": "odd"}, "'kind' must be one of natural, catch-all, organisational"),
        ({"symmetry": ["none"]}, "'symmetry' must be one of"),
        ({"confidence": "total"}, "'confidence' must be one of"),
        ({"parameters": [1]}, "must map units to numbers"),
        ({"parameters": {"a": 1}}, "must map units to numbers"),
        ({"parameters": {"3": float("nan")}}, "finite"),
        ({"parent": 3}, "'parent' must be"),
    ],
)
def test_families_that_are_not_of_the_form(change: dict, sentence: str) -> None:
    with pytest.raises(FormError, match=sentence):
        distill.parse({"layer": "a", "families": [GOOD["families"][0] | change]}, "a.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[]", "'layer' must be"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"layer": NaN}', "NaN"),
        (b'{"layer": "a\\u0000"}', "NUL"),
        (b'{"layer": "a\\ud800"}', "half a character"),
        (b" " * 20_000_001, "larger than 20 MB"),
    ],
    ids=["empty", "half", "list", "no utf-8", "deep", "nan", "nul", "surrogate", "large"],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(FormError, match=sentence) as caught:
        distill.read(file)
    assert "a.json" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FormError, match="No such file"):
        distill.read(tmp_path / "a.json")
    with pytest.raises(FormError, match="directory"):
        distill.read(tmp_path)


texts = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: text == text.strip() and text
)
families = some.builds(
    FamilyRecord,
    name=texts,
    units=some.lists(some.integers(0, 500), max_size=6),
    comment=texts | some.just(""),
    kind=some.sampled_from(["natural", "catch-all", "organisational"]),
    symmetry=some.sampled_from(["none", "rotation", "hue"]),
    parameters=some.dictionaries(some.integers(0, 500), some.floats(allow_nan=False, allow_infinity=False), max_size=3),
    confidence=some.sampled_from(["high", "medium", "low"]),
    parent=texts | some.just(""),
    source=texts,
)


@given(
    some.builds(LayerRecord, some.just("a.json"), texts, some.lists(families, max_size=3), texts, texts, some.just(0))
)
def test_what_is_written_reads_the_same(layer: LayerRecord) -> None:
    again = distill.parse(json.loads(distill.text(layer)), "a.json")
    for family, before in zip(again.families, layer.families, strict=True):
        source = family.source or again.source
        assert {**vars(family), "source": source} == vars(before)
    assert (again.layer, again.source, again.model) == (layer.layer, layer.source, layer.model)


def test_the_form_of_a_file(tmp_path: Path) -> None:
    layer = LayerRecord("", "mixed3b", [FamilyRecord("Curves", [3, 1]), FamilyRecord("Lines", [])], "A", "net", 8)
    (file,) = distill.write(tmp_path, [layer])
    assert file.name == "mixed3b.json"
    assert file.read_text() == (
        '{\n "model": "net",\n "layer": "mixed3b",\n "layer_size": 8,\n "source": "A",\n "families": [\n'
        '  {"name": "Curves", "units": [3, 1], "source": ""},\n  {"name": "Lines", "units": [], "source": ""}\n ]\n}\n'
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mixed3b.json"]


def test_a_layers_name_is_no_path(tmp_path: Path) -> None:
    (file,) = distill.write(tmp_path, [LayerRecord("", "../up", [])])
    assert file.parent == tmp_path


@needs_data
def test_the_published_files_are_read() -> None:
    records = [distill.read(file) for file in sorted((DATA / "early-vision").glob("*.json"))]
    assert len(records) == 9
    assert sum(len(record.families) for record in records if record.layer <= "mixed3b") == 77
