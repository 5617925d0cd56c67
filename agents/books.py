"""Books: a data directory and its ClickHouse, opened together by the one process that has them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agents.directory import Directory
from agents.errors import StorageError
from agents.projection import Projection
from agents.reference import Reference
from sinks.clickhouse import ClickHouse
from sinks.errors import Occupied, Unreachable


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
        temporary_files_in(directory.path / "tmp"),
        _clickhouse(directory, clickhouse_dsn) as clickhouse,
    ):
        yield Books(directory, Reference(directory), clickhouse, Projection(directory, clickhouse))


def _clickhouse(directory: Directory, dsn: str) -> ClickHouse:
    """The ClickHouse at the DSN, or the directory's own; one that no longer opens can be deleted, and that is said."""
    try:
        return ClickHouse(dsn or directory.clickhouse_dsn)
    except Unreachable as error:
        if dsn or isinstance(error, Occupied) or find_spec("chdb") is None:
            raise
        raise StorageError(
            f"{error} If it is damaged, delete {directory.path / 'clickhouse'} and run the same command again: it is "
            "filled again from the state beside it."
        ) from error


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """The embedded engine takes an insert from a temporary file; what a killed run leaves is cleared away."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    elsewhere, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = elsewhere
