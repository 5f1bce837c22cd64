"""A book in a DuckDB file is the book of a folder with the same tables, and is refused as one."""

from pathlib import Path

import duckdb
import pytest
from replay_books import Book, ladder, scenario

from dagster_project.replay.engine import ReplayInputError, run_replay


def database(book: Book, folder: Path, schema: str = "main") -> Path:
    """Write a book into ``folder/held.duckdb``."""
    tables = book.write(folder / "files")
    with duckdb.connect(folder / "held.duckdb") as con:
        con.execute(f"create schema if not exists {schema}")
        for file in tables.glob("*.parquet"):
            con.execute(f"create table {schema}.{file.stem} as from '{file}'")
    return folder / "held.duckdb"


def refused(book: Path) -> str:
    with pytest.raises(ReplayInputError) as caught:
        run_replay(book, scenario(-0.1))
    return "\n".join(map(str, caught.value.faults))


@pytest.mark.parametrize("schema", ["main", "my book"])
def test_schema_is_the_same_book_as_a_folder(schema: str, tmp_path: Path) -> None:
    book = ladder([0.03, 0.05, 0.08], 1000.0, 1e5)
    quoted = "main" if schema == "main" else '"my book"'
    file = database(book, tmp_path, quoted)
    file.with_suffix(".yaml").write_text("source_class: measured\norigin: a test\n")
    (tmp_path / "files" / "book.yaml").write_text("source_class: measured\norigin: a test\n")
    held = run_replay(file if schema == "main" else file / schema, scenario(-0.06))
    given = run_replay(tmp_path / "files", scenario(-0.06))
    assert (held.run_id, held.book_hash, held.origin) == (given.run_id, given.book_hash, "a test")
    for table in given.tables:
        assert held.table(table).equals(given.table(table)), table


def test_what_is_missing_or_a_view_is_told(tmp_path: Path) -> None:
    file = database(ladder([0.03], 1000.0, 1e5), tmp_path)
    with duckdb.connect(file) as con:
        con.execute("drop table fund")
        con.execute("alter table depth rename to held")
        con.execute("create view depth as from held")
    said = refused(file)
    assert "fund: the table is missing" in said
    assert "depth: the table is missing" in said
    assert "held.duckdb/nowhere" in refused(file / "nowhere")


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "held.duckdb"
    file.write_bytes(b"not a database" * 1000)
    assert "held.duckdb/main]: cannot be read" in refused(file)


def test_nothing_is_written_beside_it(tmp_path: Path) -> None:
    file = database(ladder([0.03], 1000.0, 1e5), tmp_path)
    before = file.read_bytes()
    run_replay(file, scenario(-0.06))
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "held.duckdb"]
