"""Migrations are read from numbered files, and a record that does not fit them is refused."""

from pathlib import Path

import pytest

from sinks.errors import WrongSchema
from sinks.migrations import check, load


def recorded(folder: Path) -> list[dict[str, object]]:
    return [{"number": m.number, "name": m.name, "checksum": m.checksum} for m in load(folder)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "002_more.sql").write_text("-- why\nCREATE TABLE c (a Int8);\n", encoding="utf-8")
    (tmp_path / "001_tables.sql").write_text(
        "CREATE TABLE a\n(\n    x String\n);\n\n-- b; too\nCREATE TABLE b (y Int8);\n", encoding="utf-8"
    )
    (tmp_path / "notes.txt").write_text("not one of them", encoding="utf-8")
    return tmp_path


def test_files_are_read_in_order_statement_by_statement(folder: Path) -> None:
    first, second = load(folder)
    assert (first.number, first.name) == (1, "001_tables.sql")
    assert first.statements == ["CREATE TABLE a\n(\n    x String\n)", "CREATE TABLE b (y Int8)"]
    assert (second.number, second.statements) == (2, ["CREATE TABLE c (a Int8)"])


def test_the_migrations_of_the_program_are_numbered_from_one() -> None:
    assert [migration.number for migration in load()] == list(range(1, len(load()) + 1))


def test_a_record_that_is_a_beginning_fits(folder: Path) -> None:
    rows = recorded(folder)
    for known in range(len(rows) + 1):
        check(rows[:known], load(folder))


def test_a_changed_file_is_refused(folder: Path) -> None:
    rows = recorded(folder)
    (folder / "001_tables.sql").write_text("CREATE TABLE other (x String);\n", encoding="utf-8")
    with pytest.raises(WrongSchema, match=r"another 001_tables\.sql"):
        check(rows, load(folder))


def test_an_unknown_newer_migration_is_refused(folder: Path) -> None:
    rows = recorded(folder)
    (folder / "002_more.sql").unlink()
    with pytest.raises(WrongSchema, match=r"002_more\.sql, which this program does not know"):
        check(rows, load(folder))


def test_a_skipped_migration_is_refused(folder: Path) -> None:
    with pytest.raises(WrongSchema, match=r"another 002_more\.sql"):
        check(recorded(folder)[1:], load(folder))
