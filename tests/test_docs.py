"""The documents speak of what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (document.parent / link).exists()] == []


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    files = sorted(file.name for file in folder.glob("0*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    assert re.findall(r"\((0\S+\.md)\)", (folder / "README.md").read_text()) == files
    for name in files:
        assert (folder / name).read_text().startswith(f"# {name[:4]} ")


def test_every_setting_is_in_the_table() -> None:
    table = (ROOT / "docs" / "deploy.md").read_text().split("## Settings", 1)[1].split("\n## ", 1)[0]
    described = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])
    }
    assert described == set(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    "pattern", ["taxonomy/*.py", "workers/*.py", "workers/evidence/*.py", "taxonomy/management/commands/*.py"]
)
def test_every_module_stands_in_the_tree(pattern: str) -> None:
    tree = ARCHITECTURE.split("```", 2)[1]
    names = {file.stem for file in ROOT.glob(pattern) if file.stem != "__init__"}
    assert {name for name in names if not re.search(rf"\b{name}\b", tree)} == set()


def test_every_noun_of_the_record_is_in_the_vocabulary() -> None:
    from taxonomy import recipes
    from taxonomy.models import ClaimKind, Motif, NoteState, Outcome, Ruling, Standing, Verdict

    vocabulary = (ROOT / "docs" / "vocabulary.md").read_text()
    for kinds in (Standing, Verdict, Outcome, NoteState, ClaimKind, Ruling, Motif):
        words = [str(word) for word in kinds.values]
        assert [word for word in words if f"*{word}*" not in vocabulary] == []
    assert [kind for kind in recipes.KINDS if f"`{kind}`" not in vocabulary] == []
    nouns = {file.stem for file in (ROOT / "taxonomy" / "models").glob("*.py")} - {"__init__", "fields", "people"}
    singular = {"families": "family", "images": "image set", "networks": "network"}
    assert [n for n in nouns if f"**{singular.get(n, n.removesuffix('s')).capitalize()}" not in vocabulary] == []
