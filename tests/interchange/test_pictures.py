"""Folders of pictures, with everything that lies about in such folders."""

import json
import os
import struct
import zlib
from pathlib import Path

import pytest

from taxonomy.interchange import pictures
from taxonomy.interchange.pictures import FolderError
from tests.factory import picture


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def test_readable_pictures_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.png").write_bytes(picture(6, form="PNG"))
    (tmp_path / "a.JPG").write_bytes(picture(4, form="JPEG"))
    (tmp_path / "sub" / "c.webp").write_bytes(picture(5))
    (tmp_path / "readme.txt").write_text("no picture, and does not say so")
    (tmp_path / "pictures.json").write_text(json.dumps([{"name": "b.png", "angle": 30}]))
    calls: list[tuple[int, int]] = []
    found = pictures.read_folder(tmp_path, lambda done, total: calls.append((done, total)))
    assert [(one.name, one.width, one.parameters) for one in found.pictures] == [
        ("a.JPG", 4, {}),
        ("b.png", 6, {"angle": 30}),
        ("sub/c.webp", 5, {}),
    ]
    assert found.left_out == []
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_the_digest_covers_names_and_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture(form="PNG"))
    digest = pictures.read_folder(tmp_path).digest
    assert pictures.read_folder(tmp_path).digest == digest
    (tmp_path / "broken.png").write_bytes(b"x")
    assert pictures.read_folder(tmp_path).digest == digest
    file.write_bytes(picture(colour=(1, 2, 3), form="PNG"))
    changed = pictures.read_folder(tmp_path).digest
    file.rename(tmp_path / "b.png")
    assert len({digest, changed, pictures.read_folder(tmp_path).digest}) == 3


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(picture(form="PNG"))
    whole = picture(64, form="JPEG")
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "bomb.png").write_bytes(bomb(60_000, 60_000))
    (tmp_path / "big.png").write_bytes(bomb(9_000, 9_000))
    (tmp_path / "short.png").write_bytes(bomb(100, 100))
    (tmp_path / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(picture(form="PNG"))
    found = pictures.read_folder(tmp_path)
    assert [one.name for one in found.pictures] == ["good.png"]
    reasons = {one["name"]: one["reason"] for one in found.left_out}
    assert "truncated" in reasons.pop("truncated.jpg").lower()
    assert "60000 x 60000" in reasons["bomb.png"] or "million" in reasons["bomb.png"]
    assert "9000 x 9000 pixels is more than the 64 million" in reasons.pop("big.png")
    assert reasons.pop("link.png") == "a link that leads out of the folder"
    assert reasons.pop("nowhere.png") == reasons.pop("circle.png") == "a link that leads nowhere"
    assert reasons.pop("pipe.png") == "not a file"
    assert reasons.pop("caf?.png") == "its name is not UTF-8"
    assert reasons.pop("empty.png") == "empty"
    assert reasons.pop("text.png") == reasons.pop("script.png") == "not a picture"
    assert set(reasons) == {"bomb.png", "short.png"}
    assert not any("0x" in reason or str(tmp_path) in reason for reason in reasons.values())


def test_a_link_inside_the_folder_is_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(form="PNG"))
    (tmp_path / "b.png").symlink_to("a.png")
    assert len(pictures.read_folder(tmp_path).pictures) == 2


def test_folders_that_give_no_set(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is not a folder"):
        pictures.read_folder(tmp_path / "gone")
    with pytest.raises(FolderError, match="there is no picture in it"):
        pictures.read_folder(tmp_path)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(FolderError, match=r"none of its 1 pictures can be read \(a.png: not a picture\)"):
        pictures.read_folder(tmp_path)


@pytest.mark.parametrize("text", ["{", "3", '[{"angle": 3}]', "[3]", '[{"name": "a.png", "x": NaN}]', '[{"name": []}]'])
def test_parameters_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.png").write_bytes(picture(form="PNG"))
    (tmp_path / "pictures.json").write_text(text)
    with pytest.raises(FolderError, match=r"pictures\.json is not a list"):
        pictures.read_folder(tmp_path)
