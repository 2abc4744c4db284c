"""What others made is shipped as they made it, with its licence."""

import hashlib
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parent.parent / "taxonomy" / "static" / "vendor"


@pytest.mark.parametrize("folder", sorted(VENDOR.iterdir()), ids=lambda path: path.name)
def test_files_are_unchanged_and_licensed(folder: Path) -> None:
    sums = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    texts = {"README.md", "SHA256SUMS", *(file.name for file in folder.glob("LICENSE-*.txt"))}
    assert len(texts) > 2
    assert {file.name for file in folder.iterdir()} - texts == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
