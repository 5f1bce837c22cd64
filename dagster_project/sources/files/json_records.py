"""Records of JSON: a list, one value a line, or a list inside a document; each record stays the text that it is."""

import json
from pathlib import Path

import duckdb

from dagster_project.lib.duck import literal
from dagster_project.lib.errors import DataError
from dagster_project.sources.files.form import Form, offset
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.text import shown
from dagster_project.sources.files.unpack import Piece
from dagster_project.sources.files.values import pointer_of

MAX_DOCUMENT_BYTES = 256 * 1024**2
"""A JSON document that is taken apart as a whole, and one item of a JSON list."""

MAX_LINE_BYTES = 64 * 1024**2

_PROBED_LINES = 20
_LONG_LINE = 1024 * 1024
_PROBED_RECORDS = 50
_PROBED_KEYS = 200
_PROBED_LENGTH = 100_000


def read_json(connection: duckdb.DuckDBPyConnection, spec: FileSpec, piece: Piece, number: int, form: Form) -> None:
    """Add the records of one JSON file to the tables of ``form``."""
    if piece.path.stat().st_size == 0:
        return
    if spec.root or spec.layout == "map_of_lists":
        words, items = _json_inside(connection, spec, piece.path)
    else:
        words, items = _json_items(piece.path)
    form.say(words)
    before = offset(connection)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE piece_records AS SELECT row_number() OVER () AS number, item FROM ({items}) AS items"
    )
    kind = "CASE WHEN json_valid(item) THEN json_type(item) END"
    connection.execute(
        f"INSERT INTO file_records SELECT {before} + number, {number}, item FROM piece_records "
        f"WHERE coalesce({kind}, '') IN ('OBJECT', 'ARRAY')"
    )
    connection.execute(
        f"INSERT INTO file_broken SELECT {before} + number, CASE WHEN {kind} IS NULL THEN 'no JSON' ELSE 'neither an object nor "
        f"a list' END, to_json(item[1:2000])::VARCHAR, 1 FROM piece_records "
        f"WHERE coalesce({kind}, '') NOT IN ('OBJECT', 'ARRAY')"
    )


def _json_items(path: Path) -> tuple[str, str]:
    """What kind of JSON a file is, and SQL of its items as text in the file's order."""
    form = _json_form(path)
    if form == "newline_delimited":
        # Read as lines and not as JSON: one broken line then costs one record.
        return "JSON, one value a line", (
            f"SELECT line AS item FROM read_csv({literal(path)}, auto_detect=false, header=false, delim='\x1f', quote='', "
            f"escape='', columns={{'line': 'VARCHAR'}}, max_line_size={MAX_LINE_BYTES}, compression='none') "
            "WHERE trim(line) <> ''"
        )
    size = max(1024**2, min(path.stat().st_size + 1024, MAX_DOCUMENT_BYTES))
    words = {"array": "JSON, a list", "unstructured": "JSON, single values"}[form]
    return words, (
        f"SELECT json::VARCHAR AS item FROM read_json_objects({literal(path)}, format={literal(form)}, "
        f"maximum_object_size={size}, compression='uncompressed')"
    )


def _json_form(path: Path) -> str:
    """``newline_delimited``, ``array`` or ``unstructured``, by the first lines; one broken line does not decide."""
    documents: list[bool] = []
    is_list = False
    with path.open("rb") as stream:
        while len(documents) < _PROBED_LINES and (line := stream.readline(MAX_LINE_BYTES)):
            text = line.strip()
            if text:
                is_list = text.startswith(b"[") if not documents else is_list
                documents.append(_is_document(text))
    if len(documents) > 1 and 2 * sum(documents) >= len(documents):
        return "newline_delimited"
    return "array" if is_list else "unstructured"


def _is_document(line: bytes) -> bool:
    if len(line) > _LONG_LINE:
        return line[:1] in {b"{", b"["} and line[-1:] in {b"}", b"]"}
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _json_inside(connection: duckdb.DuckDBPyConnection, spec: FileSpec, path: Path) -> tuple[str, str]:
    """SQL of the items of a list, or of the lists of an object, somewhere in one document."""
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise DataError(f"one JSON document of more than {MAX_DOCUMENT_BYTES} bytes is not taken apart")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE piece_text AS SELECT content FROM read_text({literal(path)})")
    row = connection.execute("SELECT json_valid(content) FROM piece_text").fetchone()
    if row is None or not row[0]:
        raise DataError("it cannot be read as json: it is not one JSON document, or was cut short")
    pointer = literal(pointer_of(spec.root) if spec.root else "")
    inside = f"json_extract(content, {pointer})" if spec.root else "content::JSON"
    row = connection.execute(f"SELECT json_type({inside}) FROM piece_text").fetchone()
    kind = row[0] if row else None
    wanted = "ARRAY" if spec.layout == "rows" else "OBJECT"
    if kind != wanted:
        place = f"'root: {shown(spec.root)}'" if spec.root else "the document"
        held = f"is {_JSON_WORDS.get(kind, 'a single value')}" if kind else "is not in it"
        raise DataError(f"{place} {held}, where {_JSON_WORDS[wanted]} is expected{_lists_in(connection)}")
    if spec.layout == "rows":
        return (
            f"JSON, the list at {shown(spec.root)}",
            f"SELECT unnest({inside}::JSON[])::VARCHAR AS item FROM piece_text",
        )
    # The object's keys are data (symbols), so they become a value of each item.
    return "JSON, a list for each key", (
        "SELECT json_object('key', key, 'item', item)::VARCHAR AS item FROM (SELECT entry.key, unnest("
        "CASE json_type(entry.value) WHEN 'ARRAY' THEN entry.value::JSON[] ELSE [NULL] END) AS item FROM ("
        f"SELECT unnest(map_entries({inside}::MAP(VARCHAR, JSON))) AS entry FROM piece_text))"
    )


_JSON_WORDS = {"ARRAY": "a list", "OBJECT": "an object", "NULL": "null"}


def _lists_in(connection: duckdb.DuckDBPyConnection) -> str:
    rows = connection.execute(
        f"SELECT name FROM ({_names('SELECT 1 AS record, content AS payload FROM piece_text')}) WHERE kind = 'array' LIMIT 8"
    ).fetchall()
    return f"; lists in it: {', '.join(shown(row[0]) for row in rows)}" if rows else ""


def json_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Paths of the values in the first records, with their types."""
    records = f"SELECT record, payload FROM file_records ORDER BY record LIMIT {_PROBED_RECORDS}"
    rows = connection.execute(
        f"SELECT name, string_agg(DISTINCT kind, ' or ' ORDER BY kind) FROM ({_names(records)}) "
        "WHERE kind NOT IN ('object', 'array', 'null') GROUP BY name ORDER BY min(place) LIMIT 1000"
    ).fetchall()
    return dict(rows)


def _names(documents: str) -> str:
    """SQL of name, kind and place of the values in JSON documents, three steps deep.

    Step by step and not by ``json_tree``, which spells out the path of every value: of a deep document, gigabytes.
    """
    pointer = "'/' || replace(replace({key}, '~', '~0'), '/', '~1')"
    steps = []
    for step in (1, 2, 3):
        above = f"SELECT record, name, value, place FROM step{step - 1} WHERE json_type(value) = 'OBJECT'"
        steps.append(
            f"keys{step} AS (SELECT record, name, value, place, unnest(json_keys(value)[1:{_PROBED_KEYS}]) AS key, "
            f"generate_subscripts(json_keys(value)[1:{_PROBED_KEYS}], 1) AS nth FROM ({above})), "
            f"step{step} AS (SELECT record, name || CASE WHEN name = '' THEN '' ELSE '.' END || key AS name, "
            f"value->({pointer.format(key='key')}) AS value, list_append(place, nth) AS place FROM keys{step})"
        )
    items = (
        "items AS (SELECT record, 'column' || nth AS name, value->nth::INTEGER AS value, [nth] AS place FROM ("
        f"SELECT record, value, unnest(range(least(json_array_length(value), {_PROBED_KEYS})::BIGINT)) AS nth FROM step0 "
        "WHERE json_type(value) = 'ARRAY'))"
    )
    every = " UNION ALL ".join(f"SELECT * FROM {name}" for name in ("step1", "step2", "step3", "items"))
    return (
        f"WITH step0 AS (SELECT record, '' AS name, payload::JSON AS value, []::BIGINT[] AS place FROM ({documents}) "
        f"WHERE length(payload) <= {_PROBED_LENGTH}), {', '.join(steps)}, {items} "
        f"SELECT name, lower(json_type(value)) AS kind, place FROM ({every})"
    )
