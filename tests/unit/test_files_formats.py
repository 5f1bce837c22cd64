"""Whatever form a table comes in, it comes out as the same canonical rows."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared import BAR, CANDLES, FUNDING, HEADER, declare, quarantine_of, refused, rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.sources import files
from dagster_project.sources.files.examination import look

# --- a table in random dialects and formats

Row = tuple[int, str, str, float, float]
"""Time in ms, venue, symbol, rate, and a number that may be anything."""

NAMES = ("at ms", "Börse", "the symbol", "rate", "x.y")
SPEC: dict[str, Any] = {
    "dataset": "adl",
    "source": "table",
    "licence": "CC0",
    "source_class": "measured",
    "venue": {"column": "Börse"},
    "time": {"column": "at ms", "unit": "ms"},
    "columns": {"venue_symbol": "the symbol", "base_asset": "the symbol", "adl_usd": "rate", "deficit_usd": "x.y"},
}

SYMBOLS = st.text(
    st.characters(codec="latin-1", categories=("L", "N", "P", "S"), exclude_characters="\ufeff"), min_size=1, max_size=9
)
TAME = st.text(st.sampled_from("ABCxyz019-/:"), min_size=1, max_size=9).map(lambda text: f"S{text}")
NUMBERS = st.floats(min_value=1e-9, max_value=1e12)
STAMPS = st.integers(1_735_689_600_000, 1_760_000_000_000)


def tables(symbols: st.SearchStrategy[str]) -> st.SearchStrategy[list[Row]]:
    row = st.tuples(STAMPS, st.sampled_from(["Binance", "okx", "BYBIT"]), symbols, NUMBERS, NUMBERS)
    return st.lists(row, min_size=1, max_size=12)


def canonical(table: list[Row]) -> list[tuple[Any, ...]]:
    """The rows that are meant, by Python's own means."""
    return [
        (
            datetime.fromtimestamp(stamp // 1000, UTC).replace(microsecond=stamp % 1000 * 1000),
            venue.lower(),
            symbol,
            *rest,
        )
        for stamp, venue, symbol, *rest in table
    ]


def read(spec: Mapping[str, Any], name: str, body: bytes) -> list[tuple[Any, ...]]:
    """Canonical rows in the order of their records."""
    with TemporaryDirectory() as place:
        folder = declare(Path(place) / "in", {**spec, "path": name}, name="table")
        (folder / name).write_bytes(body)
        (declared,) = files.declared_files(folder)
        (Path(place) / "scratch").mkdir()
        with connect() as connection:
            found = look(connection, declared, Path(place) / "scratch")
            assert found.faults == []
            return connection.execute(
                "SELECT event_at, venue, venue_symbol, adl_usd, deficit_usd FROM probe ORDER BY record"
            ).fetchall()


def packed(body: bytes, packing: str, name: str) -> bytes:
    if packing == "gz":
        return gzip.compress(body)
    if packing in {"zst", "lz4"}:
        return pa.compress(body, codec="zstd", asbytes=True) if packing == "zst" else framed_lz4(body)
    if packing == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, body)
        return out.getvalue()
    return body


def framed_lz4(body: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(body)
    return sink.getvalue().to_pybytes()


def csv_text(table: list[Row], dialect: Mapping[str, Any], *, header: bool, comma: bool) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, **dialect)
    if header:
        writer.writerow(NAMES)
    for stamp, venue, symbol, *numbers in table:
        writer.writerow([stamp, venue, symbol, *(repr(n).replace(".", ",") if comma else repr(n) for n in numbers)])
    return out.getvalue()


PACKINGS = st.sampled_from(["", "gz", "zst", "lz4", "zip"])
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


SAID = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", ";", "\t", "|", "~"]),
        "quotechar": st.sampled_from(['"', "'"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
    }
)
FOUND = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", ";", "\t", "|"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
    }
)


@SLOW
@given(
    table=tables(SYMBOLS),
    dialect=SAID,
    choices=st.tuples(st.booleans(), st.booleans()),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    packing=PACKINGS,
)
def test_csv_of_a_dialect_that_is_said(
    table: list[Row], dialect: dict[str, Any], choices: tuple[bool, bool], encoding: str, packing: str
) -> None:
    header, comma = choices
    body = csv_text(table, dialect, header=header, comma=comma).encode(encoding)
    form = {
        "delimiter": dialect["delimiter"],
        "quote": dialect["quotechar"],
        "comment": "",
        "skip": 0,
        "header": header,
        "decimal_separator": "," if comma else ".",
        "encoding": {"utf-8-sig": "utf-8"}.get(encoding, encoding),
    } | ({} if header else {"columns": list(NAMES)})
    spec = SPEC | {"format": "csv", "csv": form}
    assert read(spec, f"t.csv.{packing}", packed(body, packing, "inside.csv")) == canonical(table)


@SLOW
@given(
    table=tables(TAME),
    dialect=FOUND,
    above=st.sampled_from(["", "Report of the day\n\n", "# made by x\n# on a Friday\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    packing=PACKINGS,
)
def test_csv_of_a_dialect_that_is_found(
    table: list[Row], dialect: dict[str, Any], above: str, encoding: str, packing: str
) -> None:
    text = above.replace("\n", dialect["lineterminator"]) + csv_text(table, dialect, header=True, comma=False)
    body = packed(text.encode(encoding), packing, "inside.csv")
    assert read(SPEC | {"format": "csv"}, f"t.csv.{packing}", body) == canonical(table)


def objects(table: list[Row]) -> list[dict[str, Any]]:
    return [dict(zip(NAMES, row, strict=True)) for row in table]


def nested(table: list[Row]) -> list[dict[str, Any]]:
    """The last value inside another: its name is then two steps."""
    return [{**dict(zip(NAMES[:4], row[:4], strict=True)), "x": {"y": row[4]}} for row in table]


JSON_FORMS: dict[str, tuple[Callable[[list[Row]], str], dict[str, Any]]] = {
    "list": (lambda table: json.dumps(objects(table)), {}),
    "indented": (lambda table: json.dumps(objects(table), indent=1, ensure_ascii=False), {}),
    "nested": (lambda table: json.dumps(nested(table)), {}),
    "lines": (lambda table: "\n".join(map(json.dumps, objects(table))) + "\n", {}),
    "lines with blanks": (lambda table: "\r\n\r\n".join(map(json.dumps, nested(table))), {}),
    "root": (lambda table: json.dumps({"data": {"list": objects(table)}, "code": 0}), {"root": "data.list"}),
    "of lists": (
        lambda table: json.dumps([list(row) for row in table]),
        {
            "venue": {"column": "column1"},
            "time": {"column": "column0", "unit": "ms"},
            "columns": {
                "venue_symbol": "column2",
                "base_asset": "column2",
                "adl_usd": "column3",
                "deficit_usd": "column4",
            },
        },
    ),
}


@SLOW
@given(table=tables(SYMBOLS), form=st.sampled_from(sorted(JSON_FORMS)), packing=PACKINGS)
def test_json(table: list[Row], form: str, packing: str) -> None:
    write, changes = JSON_FORMS[form]
    body = packed(write(table).encode(), packing, "inside.json")
    assert read(SPEC | {"format": "json"} | changes, f"t.json.{packing}", body) == canonical(table)


@SLOW
@given(
    table=tables(SYMBOLS),
    kind=st.sampled_from(["ms", "timestamp", "utc", "nested"]),
    packing=st.sampled_from(["", "zip"]),
)
def test_parquet(table: list[Row], kind: str, packing: str) -> None:
    columns: dict[str, Any] = dict(zip(NAMES, (list(column) for column in zip(*table, strict=True)), strict=True))
    spec = SPEC | {"format": "parquet"}
    if kind in {"timestamp", "utc"}:
        zone = "UTC" if kind == "utc" else None
        columns["at ms"] = pa.array(columns["at ms"], pa.int64()).cast(pa.timestamp("ms", zone))
        spec |= {"time": {"column": "at ms"}}
    if kind == "nested":
        columns["x"] = [{"y": value} for value in columns.pop("x.y")]
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    assert read(spec, f"t.parquet{packing}", packed(out.getvalue(), packing, "a.parquet")) == canonical(table)


# --- CSV that is not tidy


def test_columns_by_position(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {
        "time": {"column": "column0"},
        "columns": {"venue_symbol": "column1", "base_asset": "column1", "funding_rate": "column2"},
    }
    text = "2025-10-10 00:00:00,BTC,0.1\n2025-10-10 08:00:00,BTC,0.2\n"
    rows = rows_of(home, declare(tmp_path / "in", spec, rates__csv=text), "funding")
    assert sorted(row["funding_rate"] for row in rows) == [0.1, 0.2]


def test_names_in_the_spec_take_the_place_of_a_header(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {"csv": {"columns": ["at", "symbol", "rate"], "header": True}}
    text = "Zeit,Markt,Rate\n2025-10-10 00:00:00,BTC,0.1\n"
    (row,) = rows_of(home, declare(tmp_path / "in", spec, rates__csv=text), "funding")
    assert row["funding_rate"] == 0.1
    spec = FUNDING | {"csv": {"columns": ["at", "rate"]}}
    assert "'csv.columns' has 2 names, the file has 3 columns" in refused(
        declare(tmp_path / "x", spec, rates__csv=text)
    )


@pytest.mark.parametrize(
    ("separators", "text", "value"),
    [
        ({"decimal_separator": ","}, "0,5", 0.5),
        ({"decimal_separator": ",", "thousands_separator": "."}, "1.234.567,5", 1234567.5),
        ({"decimal_separator": ",", "thousands_separator": "."}, "1234,5", 1234.5),
        ({"decimal_separator": ",", "thousands_separator": " "}, "1 234,5", 1234.5),
        ({"thousands_separator": ","}, "-1,234.5", -1234.5),
        ({"thousands_separator": "'"}, "1'234.5e0", None),
        ({"decimal_separator": ","}, "1.5", None),
        ({"decimal_separator": ",", "thousands_separator": "."}, "1.5", None),
        ({"thousands_separator": ","}, "12,34", None),
        ({}, "1,5", None),
        ({}, "nan", None),
        ({}, "inf", None),
        ({}, "1e400", None),
        ({}, " +1.5e-3 ", 0.0015),
    ],
)
def test_numbers_of_other_lands(
    home: Home, tmp_path: Path, separators: dict[str, str], text: str, value: float | None
) -> None:
    spec = FUNDING | {"csv": {"delimiter": ";", **separators}}
    good = "2025-10-10 00:00:00;BTC;0\n" * 2
    folder = declare(tmp_path / "in", spec, rates__csv=f"at;symbol;rate\n2025-10-10 08:00:00;BTC;{text}\n{good}")
    found = [row["funding_rate"] for row in rows_of(home, folder, "funding") if row["event_at"].hour == 8]
    assert found == ([] if value is None else [value])


def test_null_values_are_no_values(home: Home, tmp_path: Path) -> None:
    spec = CANDLES | {"csv": {"null_values": ["-", "N/A"]}}
    text = HEADER + BAR.replace(",1.5", ",-") + BAR.replace(",1.5", ",N/A").replace("BTC", "ETH")
    assert {row["base_quantity"] for row in rows_of(home, declare(tmp_path / "in", spec, bars__csv=text))} == {None}


def test_a_quote_that_comes_late_is_a_quote(home: Home, tmp_path: Path) -> None:
    lines = "".join(f"2025-10-{day:02} 00:00:00,S,0.1\n" for day in range(1, 29)) * 2000
    text = f'at,symbol,rate\n{lines}2025-10-10 08:00:00,"A,""B""",0.1\n'
    found = {
        row["venue_symbol"] for row in rows_of(home, declare(tmp_path / "in", FUNDING, rates__csv=text), "funding")
    }
    assert found == {"S", 'A,"B"'}


def test_broken_lines_are_set_aside_and_every_record_keeps_its_number(home: Home, tmp_path: Path) -> None:
    bars = [BAR.replace("1760130000000", str(1760130000000 + hour * 3_600_000)) for hour in range(8)]
    bars[2] = "1760137200000,Binance,BTC-USDT,10\n"
    bars[4] = bars[4].replace(",9,", ",oops,")
    bars[5] = bars[5].strip() + ",one,too,many\n"
    rows = rows_of(home, declare(tmp_path / "in", CANDLES, bars__csv=HEADER + "".join(bars)))
    assert sorted(row["open_time"].hour for row in rows) == [0, 3, 4, 21, 22]
    aside = [(item["record"], item["reason"]) for item in quarantine_of(home)]
    assert aside == [
        (3, "a line with missing columns"),
        (5, "low has no usable value"),
        (6, "a line with too many columns"),
    ]
    assert json.loads(quarantine_of(home)[0]["payload"]) == {"line": "1760137200000,Binance,BTC-USDT,10"}


def test_an_open_quote_does_not_swallow_the_rest_unnoticed(tmp_path: Path) -> None:
    bars = [BAR.replace("1760130000000", str(1760130000000 + hour * 3_600_000)) for hour in range(9)]
    bars[2] = bars[2].replace("BTC-USDT", '"BTC-USDT')
    said = refused(declare(tmp_path, CANDLES, bars__csv=HEADER + "".join(bars)))
    assert "7 of 9 rows are unusable" in said
    assert "records that cannot be read: 7, first 3" in said


def test_lines_that_end_in_two_ways_are_read(home: Home, tmp_path: Path) -> None:
    text = HEADER + BAR + BAR.replace("1760130000000", "1760133600000").replace("\n", "\r\n")
    assert len(rows_of(home, declare(tmp_path / "in", CANDLES, bars__csv=text))) == 2


def test_line_ends_that_fall_between_two_parts(tmp_path: Path) -> None:
    chunk = 4 * 1024 * 1024
    start, line = b"at,symbol,rate\n", b"2025-10-10,%s,0.1\r\n"
    row = line % (b"S" * 200)
    for shift in (-1, 0, 1):
        # The first line ends in LF, the others in CR LF, one of these on the border of what is read at once.
        count, rest = divmod(chunk + 1 + shift - len(start) - len(line % b"") - 1, len(row))
        body = start + row * count + line % (b"S" * (rest + 1))
        assert body[chunk - 1 + shift :] == b"\r\n"
        (declared,) = files.declared_files(declare(tmp_path, FUNDING, rates__csv=body + row))
        assert files.examine(declared) == files.Checked(date(2025, 10, 10), date(2025, 10, 10), count + 2, unusable=0)


def test_undeclared_encoding_is_named(home: Home, tmp_path: Path) -> None:
    text = (HEADER + BAR.replace("BTC-USDT", "BTC-Müller")).encode("latin-1")
    folder = declare(tmp_path / "in", CANDLES, bars__csv=text)
    assert "a line with invalid encoding" in refused(folder)
    (row,) = rows_of(home, declare(folder, CANDLES | {"csv": {"encoding": "latin-1"}}))
    assert row["venue_symbol"] == "BTC-Müller"
    spec = CANDLES | {"csv": {"encoding": "utf-16"}}
    assert "it is not utf-16 text" in refused(declare(folder, spec))


def test_the_spec_tells_where_the_header_is(home: Home, tmp_path: Path) -> None:
    above = "Report;of;everything\nmade for you\n\n"
    text = above + (HEADER + BAR + BAR.replace(",9,", ",9,too many,")).replace(",", ";")
    assert len(rows_of(home, declare(tmp_path / "in", CANDLES, bars__csv=text))) == 1


# --- JSON that is not tidy


def test_broken_json_lines_cost_their_records_alone(home: Home, tmp_path: Path) -> None:
    lines = [json.dumps({"at": f"2025-10-10 0{hour}:00:00", "symbol": "BTC", "rate": 0.1}) for hour in range(6)]
    lines[1] = lines[1][:20]
    lines[3] = "7"
    spec = FUNDING | {"format": "json", "path": "rates.jsonl"}
    rows = rows_of(home, declare(tmp_path / "in", spec, rates__jsonl="\n".join(lines)), "funding")
    assert sorted(row["event_at"].hour for row in rows) == [0, 2, 4, 5]
    assert [(item["record"], item["reason"]) for item in quarantine_of(home)] == [
        (2, "no JSON"),
        (4, "neither an object nor a list"),
    ]


@pytest.mark.parametrize(
    ("content", "change", "said"),
    [
        ('[{"at": 1}, {"at"', {}, "cannot be read as json"),
        (
            '{"data": {"rows": []}}',
            {"root": "data.list"},
            "'root: data.list' is not in it, where a list is expected; lists in it: data.rows",
        ),
        ('{"data": {"list": {}}}', {"root": "data.list"}, "'root: data.list' is an object, where a list is expected"),
        ("[1, 2]", {"layout": "map_of_lists"}, "the document is a list, where an object is expected"),
        ('{"a": [', {"layout": "map_of_lists"}, "not one JSON document, or was cut short"),
        ("[]", {}, "it holds no rows"),
        ("", {}, "it holds no rows"),
        ("[[]]", {}, "columns 'at', 'symbol', 'rate' are not in the file"),
    ],
)
def test_json_that_is_not_what_the_spec_says(tmp_path: Path, content: str, change: dict[str, str], said: str) -> None:
    spec = FUNDING | {"format": "json", "path": "rates.json"} | change
    assert said in refused(declare(tmp_path, spec, rates__json=content))


def test_a_key_without_a_list_is_a_bad_record_and_not_lost(tmp_path: Path) -> None:
    spec = FUNDING | {
        "format": "json",
        "path": "rates.json",
        "layout": "map_of_lists",
        "columns": {"venue_symbol": "key", "base_asset": "key", "funding_rate": "item.rate"},
        "time": {"column": "item.at"},
    }
    item = {"at": "2025-10-10", "rate": 0.1}
    folder = declare(tmp_path, spec, rates__json=json.dumps({"BTC": [item, item], "ETH": None, "SOL": [item]}))
    (declared,) = files.declared_files(folder)
    checked = files.examine(declared)
    assert (checked.rows, checked.unusable) == (4, 1)


def test_names_with_dots_and_slashes_are_names(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {
        "format": "json",
        "path": "rates.json",
        "columns": {"venue_symbol": "a/b", "base_asset": "a~b", "funding_rate": "r.x"},
    }
    content = json.dumps([{"at": "2025-10-10", "a/b": "one", "a~b": "two", "r.x": 0.5, "r": {"x": 0.7}}])
    (row,) = rows_of(home, declare(tmp_path / "in", spec, rates__json=content), "funding")
    assert (row["venue_symbol"], row["base_asset"], row["funding_rate"]) == ("one", "two", 0.5)


# --- zips with several members


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


LINE = "2025-10-10 00:00:00,{},0.1\n"
TOP = "at,symbol,rate\n"


def test_members_are_read_one_after_the_other(home: Home, tmp_path: Path) -> None:
    body = zipped(
        {
            "b/eth.csv": TOP + LINE.format("ETH"),
            "a/btc.csv": "symbol;rate;at\nBTC;0.1;2025-10-10 00:00:00\n;;\n",
            "README.md": "not data",
            "__MACOSX/._btc.csv": b"\x00\x01",
        }
    )
    rows = rows_of(home, declare(tmp_path / "in", FUNDING | {"path": "*.zip"}, rates__zip=body), "funding")
    assert {row["venue_symbol"] for row in rows} == {"BTC", "ETH"}
    # The records are counted through: the second line of the first member is the file's second record.
    assert [item["record"] for item in quarantine_of(home)] == [2]


@pytest.mark.parametrize(
    ("member", "symbols"), [("*.csv", {"BTC", "ETH"}), ("btc*", {"BTC"}), ("b/*", {"ETH"}), ("a/btc.csv", {"BTC"})]
)
def test_member_chooses(home: Home, tmp_path: Path, member: str, symbols: set[str]) -> None:
    body = zipped({"a/btc.csv": TOP + LINE.format("BTC"), "b/eth.csv": TOP + LINE.format("ETH")})
    spec = FUNDING | {"path": "*.zip", "member": member}
    rows = rows_of(home, declare(tmp_path / "in", spec, rates__zip=body), "funding")
    assert {row["venue_symbol"] for row in rows} == symbols


def test_member_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    body = zipped({"a.csv": TOP, "b.csv": TOP})
    said = refused(declare(tmp_path, FUNDING | {"path": "*.zip", "member": "c*"}, rates__zip=body))
    assert "no member matches 'c*'; it holds a.csv, b.csv" in said


def test_parquet_members_of_other_types_and_columns(home: Home, tmp_path: Path) -> None:
    members = {}
    for name, at, rate in (
        ("a", "2025-10-10T00:00:00", {"x": 0.5}),
        ("b", datetime(2025, 10, 11, tzinfo=UTC), {"x": 1}),
    ):
        out = io.BytesIO()
        pq.write_table(pa.table({"rate": [rate], "at": [at], f"only {name}": [1], "symbol": [name]}), out)
        members[f"{name}.parquet"] = out.getvalue()
    columns = FUNDING["columns"] | {"funding_rate": "rate.x"}
    spec = FUNDING | {"format": "parquet", "path": "*.zip", "columns": columns}
    rows = rows_of(home, declare(tmp_path / "in", spec, rates__zip=zipped(members)), "funding")
    assert sorted((row["venue_symbol"], row["date"].day, row["funding_rate"]) for row in rows) == [
        ("a", 10, 0.5),
        ("b", 11, 1.0),
    ]


def test_json_inside_a_column_of_csv(home: Home, tmp_path: Path) -> None:
    columns = FUNDING["columns"] | {"funding_rate": "info.rate"}
    text = (
        'at,symbol,info\n2025-10-10,BTC,"{""rate"": ""0.5""}"\n2025-10-10,ETH,"{""rate"": 0.25}"\n2025-10-10,SOL,none\n'
    )
    rows = rows_of(home, declare(tmp_path / "in", FUNDING | {"columns": columns}, rates__csv=text), "funding")
    assert sorted(row["funding_rate"] for row in rows) == [0.25, 0.5]


def test_json_and_parquet_in_a_zip(home: Home, tmp_path: Path) -> None:
    content = json.dumps([{"at": "2025-10-10", "symbol": "BTC", "rate": 0.1}])
    spec = FUNDING | {"format": "json", "path": "*.zip"}
    (row,) = rows_of(home, declare(tmp_path / "in", spec, rates__zip=zipped({"x": content})), "funding")
    assert row["funding_rate"] == 0.1
