"""A spec and its files may come from a stranger: they can be wrong, and they can do nothing else."""

import gzip
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from declared import BAR, CANDLES, FUNDING, HEADER, LIQUIDATIONS, declare, refused, rows_of
from rich.console import Console

from dagster_project.lib.home import Home
from dagster_project.sources import files
from dagster_project.sources.files import template

HOSTILE = [
    "'",
    "''); DROP TABLE landed; --",
    '"; DROP TABLE landed; --',
    "x' OR 1=1 --",
    "a\\'b",
    "$$x$$",
    "{x}",
    "${HOME}",
    "\u202e[red]bold[/red]\u2028",
    "/../../etc/passwd",
    "*",
    "read_text('/etc/passwd')",
    "%s%n",
]

FULL: dict[str, Any] = {
    "dataset": "klines",
    "path": "bars.csv",
    "format": "csv",
    "filename": "{name}.csv",
    "csv": {
        "delimiter": ",",
        "quote": '"',
        "escape": '"',
        "comment": "#",
        "columns": ["when", "exchange", "pair", "o", "h", "l", "c", "vol_k"],
        "header": True,
        "null_values": ["none"],
    },
    "source": "my bars",
    "licence": "CC0",
    "source_class": "measured",
    "venue": {
        "column": "exchange",
        "map": {"Binance": "binance"},
        "completeness": {"binance": "complete"},
        "without": ["okx"],
    },
    "time": {"column": "when", "unit": "ms"},
    "interval": {"column": "vol_k"},
    "columns": {
        "venue_symbol": {"column": "pair", "map": {"BTC-USDT": "BTC"}},
        "base_asset": {"column": "pair", "before": "-", "after": "B"},
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
    },
    "constants": {"contract_type": "linear", "price_kind": "last"},
}


def texts_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of every text of a spec, of its keys (marked) and values."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*place, ("key", key))
            yield from texts_of(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of(item, (*place, index))
    elif isinstance(value, str):
        yield place


def replaced(value: Any, place: tuple[Any, ...], text: str) -> Any:
    """A spec with one text, or one key, exchanged."""
    if not place:
        return text
    first, rest = place[0], place[1:]
    if isinstance(first, tuple):
        return {text if key == first[1] else key: item for key, item in value.items()}
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[first] = replaced(copied[first], rest, text)
    return copied


VARIANTS = (
    FULL,
    FULL
    | {"time": {"column": "when", "clock": "exchange", "format": "%Y-%m-%d", "zone": "Asia/Tokyo"}, "interval": "1h"},
    LIQUIDATIONS | {"path": "bars.csv", "member": "*.csv"},
)


@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_hostile_text_in_every_place_of_a_spec_is_data_or_a_fault(tmp_path: Path, variant: int) -> None:
    """No text, wherever it stands, reaches SQL as more than a text: else DuckDB's own errors would come out."""
    spec = VARIANTS[variant]
    places = list(texts_of(spec))
    assert len(places) > 20
    for number, place in enumerate(places):
        text = "''\";)]}--" if number % 2 else HOSTILE[number // 2 % len(HOSTILE)]
        folder = declare(tmp_path, replaced(spec, place, text), bars__csv=HEADER + BAR)
        report = files.explain(folder)
        outcome = "\n".join([*report.spec_faults, *(fault for file in report.files for fault in file.faults)])
        for sign in ("Parser Error", "Binder Error", "Catalog Error", "INTERNAL"):
            assert sign not in outcome, (place, text, outcome)


def test_hostile_texts_come_through_as_they_are(home: Home, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        spec = FUNDING | {
            "format": "json",
            "path": f"{number}.json",
            "licence": text,
            "columns": {
                "venue_symbol": {"column": text + "x", "before": text, "map": {"seen": text}},
                "base_asset": {"column": text + "x", "after": text},
                "funding_rate": text + "n",
            },
        }
        record = {"at": "2025-10-10", text + "x": f"seen{text}kept", text + "n": number}
        declare(tmp_path / "in", spec, name=f"s{number}", **{f"{number}__json": json.dumps([record])})
    rows = {row["funding_rate"]: row for row in rows_of(home, tmp_path / "in", "funding")}
    assert {number: (rows[number]["venue_symbol"], rows[number]["base_asset"]) for number in rows} == {
        float(number): (text, "kept") for number, text in enumerate(HOSTILE)
    }


def test_constants_stay_text(home: Home, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        columns = {"funding_rate": "rate"}
        spec = FUNDING | {
            "columns": columns,
            "constants": {"venue_symbol": text, "base_asset": text},
            "path": f"{number}.csv",
        }
        declare(tmp_path / "in", spec, name=f"s{number}", **{f"{number}__csv": f"at,rate\n2025-10-10,{number}\n"})
    found = {row["funding_rate"]: row["base_asset"] for row in rows_of(home, tmp_path / "in", "funding")}
    assert found == {float(number): text for number, text in enumerate(HOSTILE)}


def test_nothing_in_a_report_is_markup_or_moves_the_cursor(tmp_path: Path) -> None:
    text = "at,symbol,rate\n2025-10-10,[red]\x1b[2J\x07[/],x\n2025-10-10,[/nonsense],0.1\n2025-10-10,b,0.1\n"
    spec = FUNDING | {
        "columns": FUNDING["columns"] | {"venue_symbol": {"column": "symbol", "map": {"b": "[bold]\u202e"}}}
    }
    folder = declare(tmp_path, spec, **{"rates__csv": text, "\x1b[31mred__csv": "x"})
    screen = Console(file=io.StringIO(), width=200)
    files.render(files.explain(folder), screen)
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "\u202e" not in printed
    assert r"[red]\x1b[2J\x07[/]" in printed


# --- paths


@pytest.mark.parametrize(
    "path",
    ["../bars.csv", "/etc/passwd", "a/../../b.csv", ".", "", "..\\bars.csv", "bars\n.csv", "\x00", "**/**/**/x", "a**"],
)
def test_path_that_leaves_the_folder_or_is_none_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "bars.csv").write_text(HEADER + BAR)
    assert "path: " in refused(declare(tmp_path / "in", CANDLES | {"path": path}))


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = declare(tmp_path / "outside", CANDLES, bars__csv=HEADER + BAR)
    folder = declare(tmp_path / "in", CANDLES | {"path": "**/bars.csv"})
    (folder / "bars.csv").symlink_to(outside / "bars.csv")
    (folder / "sub").symlink_to(outside)
    assert "no file matches" in refused(folder)
    (folder / "bars.delever.yaml").unlink()
    (folder / "linked.delever.yaml").symlink_to(outside / "bars.delever.yaml")
    assert "Nothing in" in refused(folder)


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    folder = declare(tmp_path, CANDLES)
    os.mkfifo(folder / "bars.csv")
    os.mkfifo(folder / "pipe.delever.yaml")
    (folder / "folder.delever.yaml").mkdir()
    assert "no file matches" in refused(folder)


def test_a_file_whose_name_is_a_pattern_is_that_file_alone(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {"path": "[[]a-z]*.csv"}
    text = "at,symbol,rate\n2025-10-10,{},0.1\n"
    folder = declare(tmp_path / "in", spec, rates__csv=text.format("OTHER"))
    (folder / "[a-z]*.csv").write_text(text.format("OWN"))
    assert {row["venue_symbol"] for row in rows_of(home, folder, "funding")} == {"OWN"}


def test_two_files_whose_names_would_be_one_in_landing_stay_apart(tmp_path: Path) -> None:
    folder = declare(tmp_path, CANDLES | {"path": "**/*.csv"}, a__b__csv=HEADER + BAR)
    (folder / "a.b.csv").rename(folder / "a__b.csv")
    (folder / "a").mkdir()
    (folder / "a" / "b.csv").write_text(HEADER + BAR)
    (folder / ("long" * 60 + ".csv")).write_text(HEADER + BAR)
    names = [arrival.name for _, arrival in files.arrivals(folder)]
    assert len(set(names)) == 3
    assert all("/" not in name and len(name.encode()) < 200 for name in names)


def test_two_specs_of_one_name_for_one_file_are_refused(tmp_path: Path) -> None:
    declare(tmp_path / "sub", CANDLES, bars__csv=HEADER + BAR)
    assert "two specs of one name" in refused(declare(tmp_path, CANDLES | {"path": "sub/bars.csv"}))


# --- YAML


def deep(levels: int) -> str:
    return "a: " + "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("a: &x [1]\nb: *x\n", "anchors and aliases"),
        ("{a: [&a [lol,lol],&b [*a,*a],&c [*b,*b]]}", "anchors and aliases"),
        ("- 1\n- 2\n", "does not declare a file"),
        ("", "does not declare a file"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("x" * 100_000, "larger than"),
        (deep(20_000), "nested deeper than 12 levels"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: !!binary 'not base 64'", "is not YAML"),
        ("dataset: klines\ndataset: funding\n", "written twice: 'dataset' on line 2"),
        ("columns:\n  open: a\n  high: b\n  open: c\n", "'open' on line 4"),
        ("a: \x00", "is not YAML"),
        ("? [a, b]\n: c\n", "is not YAML"),
        ("venue: .nan\ntime: .inf\ninterval: 1e999\nconstants: {open: .nan}\n", "does not declare a file"),
    ],
)
def test_hostile_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bars.delever.yaml").write_text(text)
    assert said in refused(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bars.delever.yaml").write_bytes(b"\xff\xfe\x00\x01")
    assert "is not YAML" in refused(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"constants": {"contract_type": "linear", "price_kind": "last", "base_quantity": float("nan")}},
        {"constants": {"contract_type": "linear", "price_kind": "last", "base_quantity": 10**400}},
        {"interval_seconds": 10**30},
        {"csv": {"skip": 10**9}},
        {"csv": {"delimiter": "\n"}},
        {"csv": {"quote": "ab"}},
        {"csv": {"delimiter": ",", "quote": ","}},
        {"csv": {"encoding": "punycode"}},
        {"csv": {"columns": ["a", "A"]}},
        {"columns": CANDLES["columns"] | {"open": {"column": "o", "scale": float("inf")}}},
        {"columns": CANDLES["columns"] | {"open": {"column": "o", "scale": 0}}},
        {"columns": CANDLES["columns"] | {"open": "x" * 301}},
        {"time": {"column": "when", "format": "%Q"}},
        {"time": {"column": "when", "format": "%H:%M"}},
        {"time": {"column": "when", "zone": "../../etc/passwd"}},
        {"time": {"column": "when", "zone": "UTC'; DROP TABLE x; --"}},
        {"venue": {"value": "../x"}},
        {"venue": {"column": "exchange", "map": {"a": "../x"}}},
        {"source": "x'; --"},
    ],
)
def test_values_that_no_spec_has_are_faults(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = declare(tmp_path, CANDLES, bars__csv=HEADER + BAR)
    (folder / "bars.delever.yaml").write_text(yaml.safe_dump(CANDLES | change))
    assert "does not declare a file" in refused(folder)


# --- templates of file names


def test_a_template_does_not_run_for_years() -> None:
    parsed = template.parse("{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}-{i}-{j}-{k}-{l}X")
    assert parsed.match("-".join("abcdefghijkl" * 60)) is None
    assert template.parse("{a}a{b}a{c}a{d}a{e}a{f}a{g}").match("a" * 1000 + "/") is None


@pytest.mark.parametrize(
    "text", ["", "plain.csv", "{a}{b}", "{A}", "{a}-{a}", "{a b}", "{", "}", "{}", "{a}}", "{1}", "{a}-" * 13]
)
def test_bad_templates_are_faults(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        template.parse(text)


# --- archives


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


ROWS = b"at,symbol,rate\n2025-10-10,BTC,0.1\n"


@pytest.mark.parametrize("name", ["../x.csv", "/x.csv", "a/../../x.csv", "C:\\x.csv", "C:x.csv", "..\\x.csv"])
def test_members_that_leave_the_folder_refuse_the_archive(tmp_path: Path, name: str) -> None:
    body = zipped({"good.csv": ROWS, "x.csv": ROWS}).replace(b"x.csv", name.encode()) if len(name) == 5 else b""
    body = body or zipped({"good.csv": ROWS, name: ROWS})
    said = refused(declare(tmp_path / "in", FUNDING | {"path": "*.zip"}, rates__zip=body))
    assert "leaves the folder; not unpacked" in said
    assert not list(tmp_path.rglob("x.csv"))


def encrypted() -> bytes:
    body = bytearray(zipped({"a.csv": ROWS}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + offset] |= 1
    return bytes(body)


def link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("a.csv")
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def doubled() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.csv", ROWS)
        archive.writestr("a.csv", ROWS)
    return out.getvalue()


def lying() -> bytes:
    """The directory says one byte where the member has many."""
    body = bytearray(zipped({"a.csv": ROWS * 50}, zipfile.ZIP_STORED))
    at = body.index(b"PK\x01\x02") + 24
    body[at : at + 4] = (1).to_bytes(4, "little")
    return bytes(body)


def overlapping() -> bytes:
    """Many names in the directory for the same packed bytes."""
    body = zipped({"a000.csv": b"0" * 100_000})
    start = body.index(b"PK\x01\x02")
    end = body.index(b"PK\x05\x06")
    entry = body[start:end]
    entries = b"".join(entry.replace(b"a000", b"a%03d" % number) for number in range(400))
    tail = bytearray(body[end:])
    tail[8:10] = tail[10:12] = (400).to_bytes(2, "little")
    tail[12:16] = len(entries).to_bytes(4, "little")
    return body[:start] + entries + bytes(tail)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (encrypted, "is encrypted"),
        (link, "is a link"),
        (doubled, "twice"),
        (lying, "is not a readable zip"),
        (overlapping, "would unpack to 40000000 bytes"),
        (lambda: zipped({"a.csv": b"0" * 50_000_000}), "would unpack to 50000000 bytes"),
        (lambda: zipped({"a.csv": zipped({"b.csv": ROWS})}), "member 'a.csv' holds another archive (zip)"),
        (lambda: zipped({"a.csv": gzip.compress(ROWS)}), "holds another archive (gzip)"),
        (lambda: gzip.compress(zipped({"a.csv": ROWS})), "it holds another archive (zip)"),
        (lambda: gzip.compress(gzip.compress(ROWS)), "it holds another archive (gzip)"),
        (lambda: gzip.compress(b"0" * 50_000_000), "unpacks to more than"),
        (lambda: pa.compress(b"0" * 50_000_000, codec="zstd", asbytes=True), "unpacks to more than"),
        (lambda: gzip.compress(ROWS * 1000)[:-20], "damaged or cut short"),
        (lambda: pa.compress(os.urandom(99_999), codec="zstd", asbytes=True)[:-20], "damaged or cut short"),
        (lambda: zipped({"a.csv": ROWS})[:-30], "is not a readable zip"),
        (lambda: zipped({}), "holds nothing"),
        (lambda: b"BZh91AY&SY" + b"\x00" * 50, "packed as bzip2"),
        (lambda: b"\xfd7zXZ\x00" + b"\x00" * 50, "packed as xz"),
        (lambda: zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "Excel workbook"),
    ],
)
def test_archives_that_are_not_opened(tmp_path: Path, make: Any, said: str) -> None:
    text = refused(declare(tmp_path, FUNDING | {"path": "rates.bin"}, rates__bin=make()))
    assert said in text
    assert "rates.bin does not fit" in text


# --- formats


def test_json_of_any_depth_is_read_or_refused(tmp_path: Path) -> None:
    spec = FUNDING | {"format": "json", "path": "rates.json"}
    for body in (
        "[" * 200_000 + "]" * 200_000,
        '[{"a":' * 50_000 + "1" + "}]" * 50_000,
        '{"at":' * 50_000 + "1" + "}" * 50_000,
    ):
        assert "does not fit" in refused(declare(tmp_path, spec, rates__json=body))
        report = files.explain(tmp_path)
        assert not report.fits


def test_parquet_that_claims_more_rows_than_it_can_hold_is_not_read(tmp_path: Path) -> None:
    # One value repeated: ten million rows in fifty kilobytes.
    table = pa.table({"at": pa.array([0], pa.int64()).take(pa.array([0] * 10_000_000, pa.int32()))})
    folder = declare(tmp_path, FUNDING | {"format": "parquet", "path": "rates.parquet"})
    pq.write_table(table, folder / "rates.parquet", compression="zstd")
    assert (folder / "rates.parquet").stat().st_size < 100_000
    assert "says that it has 10000000 rows" in refused(folder)


def test_names_in_parquet_are_data(home: Home, tmp_path: Path) -> None:
    names = [f"n{text}" for text in HOSTILE if "." not in text]
    columns: dict[str, Any] = {name: [f"v{number}"] for number, name in enumerate(names)}
    columns |= {"at": ["2025-10-10"], "rate": [0.5], "file_row_number": [1], "record": [2], "v0": [3]}
    columns["deep"] = [{name: f"d{number}" for number, name in enumerate(names)}]
    for number, name in enumerate(names):
        spec = FUNDING | {
            "format": "parquet",
            "path": "rates.parquet",
            "columns": {"venue_symbol": name, "base_asset": f"deep.{name}", "funding_rate": "rate"},
        }
        folder = declare(tmp_path / str(number), spec)
        pq.write_table(pa.table(columns), folder / "rates.parquet")
        ((_, arrival),) = files.arrivals(folder)
        (report,) = files.explain(folder).files
        values = {column.name: column.values for column in report.columns}
        assert (values["venue_symbol"], values["base_asset"]) == (f"v{number}", f"d{number}")
        assert arrival.period_start.isoformat() == "2025-10-10"
    row = rows_of(home, tmp_path / "0", "funding")
    assert len(row) == 1


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_noise_is_refused(tmp_path: Path, kind: str) -> None:
    for seed in range(8):
        noise = bytes((seed * 131 + index * index * 7 + index // 3) % 256 for index in range(3000))
        folder = declare(tmp_path, FUNDING | {"format": kind, "path": "rates.bin"}, rates__bin=noise)
        assert "rates.bin does not fit" in refused(folder)
        assert not files.explain(folder).fits
