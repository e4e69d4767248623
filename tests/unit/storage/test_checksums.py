"""A migration that has landed never changes."""

from pathlib import Path

import pytest

from storage.checksums import add, main, problems, read_checksums
from storage.migrate import read_migrations


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (x int);")
    add(tmp_path)
    return tmp_path


def found(directory: Path) -> list[str]:
    return problems(read_checksums(directory), read_migrations(directory))


def test_the_migrations_of_this_program_are_as_they_landed() -> None:
    assert main([]) == 0


def test_what_is_listed_and_the_same_is_right(directory: Path) -> None:
    assert found(directory) == []


def test_an_edited_migration_is_named_and_adding_does_not_hide_it(directory: Path) -> None:
    (directory / "0001_first.sql").write_text("CREATE TABLE first (x bigint);")
    add(directory)

    (problem,) = found(directory)
    assert "0001_first.sql has landed" in problem


def test_a_new_migration_is_named_until_it_is_listed(directory: Path) -> None:
    (directory / "0002_second.sql").write_text("CREATE TABLE second (x int);")
    (problem,) = found(directory)
    assert "0002_second.sql is not listed" in problem

    add(directory)
    assert found(directory) == []


def test_a_missing_migration_is_named(directory: Path) -> None:
    (directory / "0001_first.sql").unlink()

    assert found(directory) == ["0001_first.sql is listed and missing"]
