"""Books: a data directory and its ClickHouse, opened together by the one process that has them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agents.directory import Directory
from agents.projection import Projection
from agents.reference import Reference
from sinks.clickhouse import ClickHouse


@dataclass(frozen=True, slots=True)
class Books:
    """What is open: the state, the tariffs and accounts, and the projection in ClickHouse."""

    directory: Directory
    reference: Reference
    clickhouse: ClickHouse
    projection: Projection


@contextmanager
def open_books(data: Path, clickhouse_dsn: str = "") -> Iterator[Books]:
    """Open `data`, made where it is missing, with the ClickHouse at the DSN, or the embedded one of the directory.

    Raises DirectoryInUseError, DirectoryError, StorageError or sinks.errors.SinkError.
    """
    with (
        Directory(data) as directory,
        _temporary_files_in(directory.path / "tmp"),
        ClickHouse(clickhouse_dsn or directory.clickhouse_dsn) as clickhouse,
    ):
        yield Books(directory, Reference(directory), clickhouse, Projection(directory, clickhouse))


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """The embedded engine takes an insert from a temporary file; what a killed run leaves is cleared away."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    elsewhere, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = elsewhere
