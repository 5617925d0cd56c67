"""Usage files: which files a command reads, and which ones of a watched directory are whole."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.files import ColumnMapping

_UNFINISHED = (".tmp", ".part", ".unfinished")

Signature = tuple[int, int, int]
"""Inode, size and time of change: another one means another content."""


def files_of(places: Iterable[Path]) -> list[Path]:
    """The files in the order given; for a directory its files by name, without hidden and unfinished ones."""
    return [file for place in places for file in (_inside(place) if place.is_dir() else [place])]


def column_mapping(columns: Sequence[str], constants: Sequence[str]) -> ColumnMapping:
    """The mapping of FIELD=COLUMN and FIELD=VALUE. Raises ValueError for another form or an unknown field."""
    return ColumnMapping(_pairs(columns, "FIELD=COLUMN"), _pairs(constants, "FIELD=VALUE"))


class Watch:
    """A directory in which usage files appear. A file counts as whole when two looks find it the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, Signature] = {}
        self._taken: dict[Path, Signature] = {}

    def look(self) -> list[Path]:
        """The files, by name, that have become whole since they were last handed out."""
        found = {file: signature for file in _inside(self._folder) if (signature := _signature(file)) is not None}
        whole = [
            file
            for file, signature in found.items()
            if self._seen.get(file) == signature and self._taken.get(file) != signature
        ]
        self._seen = found
        self._taken.update((file, found[file]) for file in whole)
        return whole


def _inside(folder: Path) -> list[Path]:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    return [folder / name for name in names if not name.startswith(".") and not name.endswith(_UNFINISHED)]


def _signature(file: Path) -> Signature | None:
    """None for a file that has just gone."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _pairs(texts: Sequence[str], form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"{text!r} is not of the form {form}")
        if name in pairs:
            raise ValueError(f"{name} is given twice, as {pairs[name]!r} and {value!r}")
        pairs[name] = value
    return pairs
