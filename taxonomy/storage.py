"""Artifacts: files named by the SHA-256 of their bytes, in two levels of folders. Putting is atomic and idempotent."""

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from django.conf import settings

SHA256 = re.compile(r"[0-9a-f]{64}")
MEDIA_TYPES = {
    ".webp": "image/webp",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".npy": "application/octet-stream",
    ".safetensors": "application/octet-stream",
}


def path(sha256: str) -> Path:
    """Where the file lies, whether or not it is there.

    Raises:
        ValueError: when ``sha256`` is not a digest (so that no request's text becomes a path).
    """
    if SHA256.fullmatch(sha256) is None:
        raise ValueError("not a SHA-256 digest")
    return Path(settings.ARTIFACTS) / sha256[:2] / sha256[2:4] / sha256


@contextmanager
def whole(target: Path) -> Iterator[IO[bytes]]:
    """A file to write that is there whole once the block ends: no reader, and no crash, ever meets half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def put(data: bytes) -> str:
    """Store the bytes and return their digest."""
    digest = hashlib.sha256(data).hexdigest()
    target = path(digest)
    if not target.exists():
        with whole(target) as file:
            file.write(data)
    return digest


def digest_of(source: Path) -> str:
    """The SHA-256 (hex) of a file, read in pieces."""
    with source.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def put_file(source: Path) -> str:
    """As ``put``, for a file that may be too large for memory."""
    digest = digest_of(source)
    target = path(digest)
    if target.exists():
        return digest
    copied = hashlib.sha256()
    with source.open("rb") as reader, whole(target) as file:
        while block := reader.read(1 << 20):
            copied.update(block)
            file.write(block)
        if copied.hexdigest() != digest:
            raise OSError(errno.EBUSY, "The file changed while it was read", str(source))
    return digest


def open(sha256: str) -> BinaryIO:
    return path(sha256).open("rb")


def read(sha256: str) -> bytes:
    return path(sha256).read_bytes()
