"""Migrations: numbered SQL files that are applied once each, in order, and recorded with their checksum.

A database whose record does not fit these files (changed, unknown, skipped) was made by another version of the
program: it is refused before anything is read or written. Every statement can be run twice, so a crash between a
statement and its record heals itself. A file that was released is never edited: a change is a new file.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from sinks.errors import WrongSchema


class Database(Protocol):
    """What a migration needs: somewhere to run statements, and to ask what has run."""

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement without a result."""

    def query_arrow(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """The result of one statement."""


class Migration(NamedTuple):
    """One file: its number and name, the statements in it and the checksum of its text."""

    number: int
    name: str
    statements: list[str]
    checksum: str


_RECORD = """
CREATE TABLE IF NOT EXISTS migrations
(number UInt32, name String, checksum String, applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'))
ENGINE = ReplacingMergeTree ORDER BY number SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""


def load(folder: Path = Path(__file__).parent) -> list[Migration]:
    """The migrations of `folder` in order of their numbers."""
    return [_read(file) for file in sorted(folder.glob("[0-9][0-9][0-9]_*.sql"))]


def _read(file: Path) -> Migration:
    text = file.read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    statements = [statement.strip() for statement in code.split(";\n") if statement.strip().rstrip(";")]
    return Migration(
        int(file.name[:3]), file.name, [s.rstrip(";") for s in statements], sha256(text.encode()).hexdigest()
    )


def apply(database: Database, migrations: Sequence[Migration]) -> list[str]:
    """Apply what is not recorded yet and return its names. Raises WrongSchema where the record does not fit."""
    database.execute(_RECORD)
    before = recorded(database)
    check(before, migrations)
    pending = migrations[len(before) :]
    for migration in pending:
        for statement in migration.statements:
            database.execute(statement)
        database.execute(
            "INSERT INTO migrations (number, name, checksum) "
            "VALUES ({number:UInt32}, {name:String}, {checksum:String})",
            {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
        )
    return [migration.name for migration in pending]


def recorded(database: Database) -> list[dict[str, object]]:
    """What has been applied, in order: rows of number, name and checksum."""
    rows: list[dict[str, object]] = database.query_arrow(
        "SELECT number, name, checksum FROM migrations FINAL ORDER BY number"
    ).to_pylist()
    return rows


def check(recorded: Sequence[Mapping[str, object]], migrations: Sequence[Migration]) -> None:
    """Raise WrongSchema unless `recorded` (rows of number, name, checksum) is how `migrations` begins."""
    for place, row in enumerate(recorded):
        if place >= len(migrations):
            raise WrongSchema(
                f"the database has migration {row['name']}, which this program does not know: "
                "a newer version made it. Use that version."
            )
        known = migrations[place]
        if (row["number"], row["checksum"]) != (known.number, known.checksum):
            raise WrongSchema(
                f"the database was made with another {row['name']} than this program's {known.name} (checksums "
                f"{row['checksum']} and {known.checksum}). Use the version that made it, or fill a new database."
            )
