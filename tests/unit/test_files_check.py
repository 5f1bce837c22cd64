"""What ``delever sources check`` says of specs and files, against files whose faults were put in by hand."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from declared import BAR, CANDLES, FUNDING, HEADER, LIQUIDATIONS, built, declare, quarantine_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.sources import files
from dagster_project.sources.files.report import ColumnReport, FileReport, moment

START = datetime(2025, 10, 10, 21, tzinfo=UTC)

MESSY = """\
Report of everything

when;exchange;pair;o;h;l;c;vol;note
2025-10-10 21:00:00;Binance Futures;BTC-USDT;10,5;12;9;11;1,5;x
2025-10-10 22:00:00;OKX;BTC-USDT;10,5;12;9;11;1,5;x
2025-10-10 23:00:00;OKX;BTC-USDT;oops;12;9;11;abc;x
2025-10-11 02:00:00;OKX;BTC-USDT;10,5;12;9;11;1,5;x
2025-10-11 03:00:00;OKX;BTC-USDT;10,5;12
2025-10-11 03:00:00;OKX;BTC-USDT;10,5;8;9;11;1,5;x
2025-10-11 02:00:00;OKX;BTC-USDT;10,5;12;9;11;1,5;x
2025-10-11 04:00:00;OKX;BTC-USDT;10,5;12;-9;11;1,5;x
2025-10-11 05:00:00;OKX;BTC-USDT;10,5;12;9;11;;x
"""
MESSY_SPEC: dict[str, Any] = {
    "dataset": "klines",
    "path": "bars.csv",
    "format": "csv",
    "csv": {"decimal_separator": ","},
    "source": "my bars",
    "licence": "CC0",
    "source_class": "measured",
    "venue": {"column": "exchange", "map": {"Binance Futures": "binance"}},
    "time": {"column": "when", "zone": "Asia/Hong_Kong"},
    "interval": "1h",
    "columns": {
        "venue_symbol": "pair",
        "base_asset": {"column": "pair", "before": "-"},
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "base_quantity": {"column": "vol", "unit": "thousand"},
    },
    "constants": {"contract_type": "linear", "price_kind": "last"},
}


def report_of(folder: Path) -> FileReport:
    (report,) = files.explain(folder).files
    return report


def column(report: FileReport, name: str) -> ColumnReport:
    return next(item for item in report.columns if item.name == name)


def printed(folder: Path) -> str:
    screen = Console(file=io.StringIO(), width=160)
    files.render(files.explain(folder), screen)
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_everything_about_a_messy_file(tmp_path: Path) -> None:
    report = report_of(declare(tmp_path, MESSY_SPEC, bars__csv=MESSY))
    assert report.fits
    assert report.read_as == "csv, delimiter ';', header, 2 lines skipped, utf-8"
    # Set aside: record 3 (open), 5 (cut short), 6 (high below open), 8 (low below nought).
    assert (report.rows, report.usable, report.broken_count) == (9, 5, 1)
    assert report.broken == [(5, "a line with missing columns")]
    assert report.venues == {"okx": 4, "binance": 1}
    assert (report.first, report.last) == (START - timedelta(hours=8), START)
    assert report.unused == ["note"]
    assert report.not_given == ["notional_usd"]
    # OKX, bars of usable rows at 14, 18, 18 and 21 UTC: one repeats; 15, 16, 17 and 19, 20 are missing.
    assert report.duplicates == 1
    assert report.series == ["grid of 3600 s: 5 missing (gaps: 2, the longest 2025-10-10 14:00 to 2025-10-10 18:00)"]
    opened = column(report, "open")
    assert (opened.origin, opened.type, opened.usable, opened.unusable) == ("'o'", "varchar", 7, 1)
    assert opened.examples == ((3, "oops"),)
    low = column(report, "low")
    assert (low.unusable, low.examples, low.reasons) == (1, ((8, "-9"),), (("low is not above 0", 1),))
    volume = column(report, "base_quantity")
    assert (volume.origin, volume.usable, volume.unusable, volume.empty) == ("'vol', thousand", 6, 1, 1)
    assert (volume.values, volume.examples) == ("1500", ((3, "abc"),))
    assert column(report, "open_time").values == "2025-10-10 13:00 to 2025-10-10 21:00 UTC"
    assert column(report, "price_kind").origin == "always last"
    assert [(item.reason, item.rows, item.record) for item in report.violations] == [
        ("low is above or high below another price", 1, 6)
    ]


def test_what_the_check_counts_is_what_raw_takes(home: Home, tmp_path: Path) -> None:
    folder = declare(tmp_path / "in", MESSY_SPEC, bars__csv=MESSY)
    report = report_of(folder)
    intake = built(home, folder)
    assert (intake.records, intake.quarantined) == (report.rows, report.rows - report.usable)
    assert [item["record"] for item in quarantine_of(home)] == [3, 5, 6, 8]


CELLS = st.sampled_from(
    ["10", "12", "9", "11", "", "oops", "-1", "0", "nan", "1e400", '"', "1,5", "2025-10-10", "Binance", "Ω"]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.lists(CELLS, min_size=7, max_size=9), max_size=6))
def test_check_and_raw_agree_on_whatever_a_file_holds(tmp_path_factory: Any, rows: list[list[str]]) -> None:
    # As many good rows as bad ones, so that the file is taken in.
    lines = [",".join(row) + "\n" for row in rows]
    folder = declare(tmp_path_factory.mktemp("in"), CANDLES, bars__csv=HEADER + BAR * (len(rows) + 1) + "".join(lines))
    home = Home(tmp_path_factory.mktemp("home"))
    home.prepare()
    report = report_of(folder)
    if not report.fits:
        # An open quote swallows more than its own line.
        assert any("more than half" in fault for fault in report.faults)
        return
    intake = built(home, folder)
    assert sum(count.rows for count in intake.counts) == report.usable
    if not any('"' in cell for row in rows for cell in row):
        assert (intake.records, intake.quarantined) == (report.rows, report.rows - report.usable)


def test_one_screen_for_a_typical_file(tmp_path: Path) -> None:
    text = printed(declare(tmp_path, MESSY_SPEC, bars__csv=MESSY))
    assert len(text.splitlines()) <= 36
    assert max(map(len, text.splitlines())) <= 160
    for words in (
        "bars.csv: klines, by bars.delever.yaml",
        "usable rows by venue: okx 4, binance 1",
        "open: open has no usable value (1); 'oops' in record 3",
        "base_quantity: its text cannot be read, and is left out; 'abc' in record 3",
        "rows that repeat the key of another: 1",
        "rows where low is above or high below another price: 1, first in record 6",
        "columns of the file not used: note",
        "fits: 5 of 9 rows usable, 2025-10-10 13:00 to 2025-10-10 21:00 UTC; 4 would be set aside",
    ):
        assert words in text


def test_all_faults_of_all_specs_and_files_at_once(tmp_path: Path) -> None:
    wrong = {
        **MESSY_SPEC,
        "colums": {},
        "time": {"column": "when", "zone": "Asia/HongKong"},
        "constants": {"price_kind": "close"},
    }
    declare(tmp_path, wrong, name="a")
    moved = {
        **MESSY_SPEC,
        "columns": MESSY_SPEC["columns"] | {"high": "High", "low": "lowest"},
        "venue": {"column": "Exchange"},
    }
    declare(tmp_path, moved, name="b", bars__csv=MESSY)
    declare(tmp_path, FUNDING, name="c", rates__csv="at,symbol,rate\n1760130000,BTC,5%\n")
    declare(tmp_path, FUNDING | {"path": "none*.csv"}, name="d")
    report = files.explain(tmp_path)
    assert not report.fits
    spec_faults = "\n".join(report.spec_faults)
    for words in (
        "colums: there is no such key (did you mean 'columns'?)",
        "time.zone: 'Asia/HongKong' is no IANA time zone (did you mean 'Asia/Hong_Kong'",
        "'contract_type' is missing (under columns, constants or unpivot; one of linear, inverse)",
        "'price_kind' cannot be 'close': it is one of last, index, mark",
        "no file matches path 'none*.csv'",
    ):
        assert words in spec_faults
    by_spec = {file.spec_name: file for file in report.files}
    (missing,) = by_spec["b.delever.yaml"].faults
    assert "'Exchange' (did you mean 'exchange'?)" in missing
    assert "'High' (did you mean 'h'?)" in missing
    assert "'lowest' (did you mean 'l'?)" in missing
    assert "when, exchange, pair, o, h, l, c, vol, note" in missing
    (unusable,) = by_spec["c.delever.yaml"].faults
    assert (
        "no usable time: 1 rows, first '1760130000' (column 'at', record 1); numbers of the size of s since 1970: time.unit: s"
        in unusable
    )
    assert (
        "funding_rate has no usable value: 1 rows, first '5%' (column 'rate', record 1); funding_rate: unit: percent"
        in unusable
    )
    with pytest.raises(DataError, match=r"2 of 4 specs cannot be used and 2 of 2 files do not fit") as caught:
        report.require_fit()
    assert caught.value.exit_code == 3


def test_a_report_of_what_fits_raises_nothing(tmp_path: Path) -> None:
    report = files.explain(declare(tmp_path, CANDLES, bars__csv=HEADER + BAR, notes__txt="x"))
    report.require_fit()
    assert report.undeclared == ["notes.txt"]
    assert "No spec declares: notes.txt" in printed(tmp_path)


def test_one_spec_alone(tmp_path: Path) -> None:
    declare(tmp_path, CANDLES, bars__csv=HEADER + BAR)
    declare(tmp_path, FUNDING, name="rates")
    report = files.explain(tmp_path / "bars.delever.yaml")
    assert report.fits
    assert [file.name for file in report.files] == ["bars.csv"]


def test_what_is_no_spec_is_a_usage_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none", tmp_path / "bars.csv"):
        (tmp_path / "bars.csv").write_text(HEADER)
        with pytest.raises(UsageError):
            files.explain(place)


def test_many_files_of_one_spec_are_summed_up(tmp_path: Path) -> None:
    folder = declare(tmp_path, CANDLES | {"path": "*.csv"})
    for number in range(9):
        (folder / f"{number}.csv").write_text(HEADER + BAR)
    (folder / "8.csv").write_text("a,b\n1,2\n")
    text = printed(folder)
    assert "5 more files fit: 5 of 5 rows usable." in text
    assert "8.csv: klines" in text
    assert "DOES NOT FIT" in text


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ([0, 1, 2, 3], "grid of 3600 s: no gap"),
        ([0, 1, 5], "grid of 3600 s: 3 missing (gaps: 1, the longest 2025-10-10 22:00 to 2025-10-11 02:00)"),
        (
            [0, 1.5, 3],
            "grid of 3600 s: 2 missing (gaps: 2, the longest 2025-10-10 21:00 to 2025-10-10 22:30); 2 times are off the grid",
        ),
    ],
)
def test_gaps(tmp_path: Path, hours: list[float], said: str) -> None:
    bars = [BAR.replace("1760130000000", str(1760130000000 + int(hour * 3_600_000))) for hour in hours]
    assert report_of(declare(tmp_path, CANDLES, bars__csv=HEADER + "".join(bars))).series == [said]


def test_usual_step_where_no_period_is_declared(tmp_path: Path) -> None:
    stamps = [START + timedelta(hours=8 * number) for number in (0, 1, 2, 3, 6, 7)]
    lines = "".join(f"{stamp:%Y-%m-%dT%H:%M:%SZ},BTC,0.1\n" for stamp in stamps)
    report = report_of(declare(tmp_path, FUNDING, rates__csv="at,symbol,rate\n" + lines))
    assert report.series == ["usual step 28800 s; 1 longer, the longest 2025-10-11 21:00 to 2025-10-12 21:00"]


def test_single_liquidations_of_equal_value_are_no_repetition(tmp_path: Path) -> None:
    events = {**LIQUIDATIONS, "constants": LIQUIDATIONS["constants"] | {"period_seconds": 0}}
    text = "day,l,s\n2025-10-10,5,2\n2025-10-10,5,2\n"
    assert report_of(declare(tmp_path / "a", events, liq__csv=text)).duplicates == 0
    assert report_of(declare(tmp_path / "b", LIQUIDATIONS, liq__csv=text)).duplicates == 2


def test_bad_values_of_one_side_are_found_in_its_own_column(tmp_path: Path) -> None:
    report = report_of(declare(tmp_path, LIQUIDATIONS, liq__csv="day,l,s\n2025-10-10,5,2\n2025-10-11,5,two\n"))
    found = column(report, "notional_usd")
    assert (found.usable, found.unusable, found.examples) == (3, 1, ((2, "two"),))


@pytest.mark.parametrize(
    ("rate", "hint"),
    [
        ("0,5", "csv.decimal_separator: ','"),
        ("1.234.567,5", "csv.thousands_separator"),
        ("5%", "funding_rate: unit: percent"),
    ],
)
def test_hints_for_numbers(tmp_path: Path, rate: str, hint: str) -> None:
    report = report_of(declare(tmp_path, FUNDING, rates__csv=f"at;symbol;rate\n2025-10-10;BTC;{rate}\n"))
    assert column(report, "funding_rate").hint == hint


def test_hints_for_words(tmp_path: Path) -> None:
    spec = FUNDING | {
        "venue": {"column": "ex"},
        "dataset": "depth",
        "columns": {"venue_symbol": "symbol", "base_asset": "symbol", "side": "side", "depth_usd": "usd"},
        "constants": {"band_bps": 100},
    }
    report = report_of(
        declare(tmp_path, spec, rates__csv="at,ex,symbol,side,usd\n2025-10-10,Binance Futures,BTC,B,5\n")
    )
    assert column(report, "venue").hint == "say which venue is meant under venue.map"
    assert column(report, "side").hint == "say what it stands for under side.map: one of bid, ask"


def test_members_left_out_are_listed(tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415

    folder = declare(tmp_path, CANDLES | {"path": "bars.zip"})
    with zipfile.ZipFile(folder / "bars.zip", "w") as archive:
        archive.writestr("a.csv", HEADER + BAR)
        archive.writestr("b.csv", HEADER + BAR)
        archive.writestr("about.md", "x")
    report = report_of(folder)
    assert report.not_taken == ["about.md"]
    assert report.read_as == "csv, delimiter ',', header, utf-8, zip of 2 members"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2025, 10, 10, tzinfo=UTC), "2025-10-10 00:00"),
        (datetime(2025, 10, 10, 21, 10, tzinfo=UTC), "2025-10-10 21:10"),
        (datetime(2025, 10, 10, 21, 0, 10, tzinfo=UTC), "2025-10-10 21:00:10"),
        (datetime(2025, 10, 10, 21, 0, 0, 120000, tzinfo=UTC), "2025-10-10 21:00:00.12"),
    ],
)
def test_moments_are_short(at: datetime, text: str) -> None:
    assert moment(at) == text


def test_the_spec_in_the_manifest_is_a_spec(tmp_path: Path) -> None:
    ((_, arrival),) = files.arrivals(declare(tmp_path, MESSY_SPEC, bars__csv=MESSY))
    again = files.FileSpec.model_validate(yaml.safe_load(yaml.safe_dump(arrival.spec)))
    assert again.model_dump(mode="json") == arrival.spec
