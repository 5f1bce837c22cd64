"""What numbers, times, names and periods of a declared file mean."""

import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from declared import BAR, CANDLES, FUNDING, HEADER, LIQUIDATIONS, declare, refused, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.sources import files
from dagster_project.sources.files import template
from dagster_project.sources.files.intervals import seconds_of, seconds_sql

NINE = "2025-10-10T21:00:00+00:00"
"""As ISO text, the hour of the bar in ``declared``."""


def times(home: Home, folder: Path) -> list[str]:
    return sorted(row["event_at"].isoformat() for row in rows_of(home, folder, "funding"))


def funding(*stamps: str) -> str:
    return "at,symbol,rate\n" + "".join(f"{stamp},S{number},0.1\n" for number, stamp in enumerate(stamps))


# --- time


@pytest.mark.parametrize(
    ("time", "stamp"),
    [
        ({}, "2025-10-10 21:00:00"),
        ({}, "2025-10-10T21:00:00Z"),
        ({}, "2025-10-10 21:00:00 UTC"),
        ({}, "2025-10-10T23:00:00+02:00"),
        ({}, "2025-10-10T23:00:00.000+0200"),
        ({}, "2025-10-11 05:00:00+08"),
        # A text with a zone of its own keeps it, whatever the spec says.
        ({"zone": "Asia/Tokyo"}, "2025-10-10 21:00:00 UTC"),
        ({"zone": "Asia/Tokyo"}, "2025-10-10T21:00:00Z"),
        ({"zone": "Asia/Tokyo"}, "2025-10-11 06:00:00"),
        ({"zone": "America/New_York"}, "2025-10-10 17:00:00"),
        ({"format": "%d/%m/%Y %H:%M"}, "10/10/2025 21:00"),
        ({"format": "%m.%d.%y %I %p"}, "10.10.25 09 PM"),
        ({"format": "%d.%m.%Y %H:%M", "zone": "Asia/Hong_Kong"}, "11.10.2025 05:00"),
        ({"format": "%Y%m%dT%H%M%S%z", "zone": "Asia/Hong_Kong"}, "20251010T230000+0200"),
        ({"unit": "s"}, "1760130000"),
        ({"unit": "s"}, "1760130000.0"),
        ({"unit": "ms"}, "1760130000000"),
        ({"unit": "us"}, "1760130000000000"),
        ({"unit": "ns"}, "1760130000000000000"),
        ({"unit": "ns"}, "1760130000000000999"),
        ({"unit": "auto"}, "1760130000"),
        ({"unit": "auto"}, "1760130000000"),
        ({"unit": "auto"}, "1760130000000000"),
        ({"unit": "auto"}, "1760130000000000000"),
        ({"unit": "auto"}, "1.76013e9"),
    ],
)
def test_one_moment_written_in_many_ways(home: Home, tmp_path: Path, time: dict[str, str], stamp: str) -> None:
    spec = FUNDING | {"time": {"column": "at", **time}}
    assert times(home, declare(tmp_path / "in", spec, rates__csv=funding(stamp))) == [NINE]


@pytest.mark.parametrize(
    ("time", "stamp", "moment"),
    [
        ({}, "2025-10-10", "2025-10-10T00:00:00+00:00"),
        ({"zone": "Asia/Hong_Kong"}, "2025-10-10", "2025-10-09T16:00:00+00:00"),
        ({"format": "%Y%m%d"}, "20251010", "2025-10-10T00:00:00+00:00"),
        ({"unit": "s"}, "1760130000.1234567", "2025-10-10T21:00:00.123457+00:00"),
        ({"unit": "ms"}, "1760130000123.4", "2025-10-10T21:00:00.123400+00:00"),
        ({}, "2025-10-10 21:00:00.123456", "2025-10-10T21:00:00.123456+00:00"),
    ],
)
def test_days_and_fractions(home: Home, tmp_path: Path, time: dict[str, str], stamp: str, moment: str) -> None:
    spec = FUNDING | {"time": {"column": "at", **time}}
    assert times(home, declare(tmp_path / "in", spec, rates__csv=funding(stamp))) == [moment]


@pytest.mark.parametrize(
    ("time", "stamp"),
    [
        ({}, "1760130000000"),
        ({}, "10/11/2025"),
        ({}, "infinity"),
        ({}, "epoch"),
        ({}, "1999-01-01"),
        ({}, "2025-13-01"),
        ({"unit": "ms"}, "1760130000"),
        ({"unit": "s"}, "1760130000000"),
        ({"unit": "s"}, "1e30"),
        ({"unit": "ns"}, "99999999999999999999999999999"),
        ({"unit": "ms"}, "2025-10-10"),
        ({"format": "%d/%m/%Y"}, "31/02/2025"),
    ],
)
def test_what_is_no_time_is_no_row(tmp_path: Path, time: dict[str, str], stamp: str) -> None:
    spec = FUNDING | {"time": {"column": "at", **time}}
    said = refused(declare(tmp_path, spec, rates__csv=funding(stamp)))
    assert f"no usable time: 1 rows, first '{stamp}' (column 'at', record 1)" in said


@pytest.mark.parametrize(
    ("stamp", "hint"),
    [
        ("1760130000000", "time.unit: ms"),
        ("1760130000", "time.unit: s"),
        ("20251010", "time.format: '%Y%m%d'"),
        ("10/10/2025 21:00", "time.format"),
    ],
)
def test_a_refusal_says_what_the_times_look_like(tmp_path: Path, stamp: str, hint: str) -> None:
    assert hint in refused(declare(tmp_path, FUNDING, rates__csv=funding(stamp)))


def test_times_of_two_units_are_refused_with_the_first_of_each(tmp_path: Path) -> None:
    spec = FUNDING | {"time": {"column": "at", "unit": "auto"}}
    said = refused(declare(tmp_path, spec, rates__csv=funding("1760130000", "1760130001", "1760130002000")))
    assert "column 'at' has times of several units: 2 of s (first record 1), 1 of ms (first record 3)" in said


def test_units_are_found_file_by_file(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {"path": "*.csv", "time": {"column": "at", "unit": "auto"}}
    folder = declare(tmp_path / "in", spec, a__csv=funding("1760130000"), b__csv=funding("1760130000000"))
    assert times(home, folder) == [NINE, NINE]


def test_day_and_clock_in_two_columns(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {"time": {"column": "day", "clock": "at", "zone": "Asia/Hong_Kong"}}
    folder = declare(tmp_path / "in", spec, rates__csv="day,at,symbol,rate\n2025-10-11,05:00:00,BTC,0.1\n")
    assert times(home, folder) == [NINE]


def test_day_in_the_name_and_clock_in_a_column(home: Home, tmp_path: Path) -> None:
    spec = FUNDING | {"path": "*.csv", "time": {"filename_date": True, "clock": "at"}}
    folder = declare(tmp_path / "in", spec)
    (folder / "rates-2025-10-10.csv").write_text("at,symbol,rate\n21:00,BTC,0.1\n")
    assert times(home, folder) == [NINE]
    (folder / "rates-today.csv").write_text("at,symbol,rate\n21:00,BTC,0.1\n")
    assert "has no date YYYY-MM-DD" in refused(folder)


@settings(max_examples=30, deadline=None)
@given(
    stamps=st.lists(st.datetimes(datetime(2009, 2, 1), datetime(2026, 1, 1)), min_size=1, max_size=20),
    name=st.sampled_from(
        ["UTC", "Asia/Hong_Kong", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Auckland", "Etc/GMT-8"]
    ),
)
def test_local_times_are_those_of_the_zone(tmp_path_factory: Any, stamps: list[datetime], name: str) -> None:
    zone = ZoneInfo(name)
    # In the hours in which clocks are set, a local time is two moments, or none.
    local = [at for at in stamps if _is_one_moment(at, zone)]
    if not local:
        return
    folder = declare(tmp_path_factory.mktemp("in"), FUNDING | {"time": {"column": "at", "zone": name}})
    (folder / "rates.csv").write_text(funding(*(f"{at:%Y-%m-%d %H:%M:%S.%f}" for at in local)))
    (declared,) = files.declared_files(folder)
    moments = [at.replace(tzinfo=zone).astimezone(UTC) for at in local]
    checked = files.examine(declared)
    assert (checked.first, checked.last, checked.unusable) == (min(moments).date(), max(moments).date(), 0)


def _is_one_moment(at: datetime, zone: ZoneInfo) -> bool:
    around = {at.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    there = at.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    return len(around) == 1 and there == at


# --- periods


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m", 60),
        ("5min", 300),
        ("1h", 3600),
        ("4H", 14400),
        ("1 hour", 3600),
        ("1d", 86400),
        ("D", 86400),
        ("1w", 604800),
        ("60", 60),
        ("30s", 30),
        ("1M", None),
        ("1mo", None),
        ("0", None),
        ("0m", None),
        ("", None),
        ("-1m", None),
        ("1.5h", None),
        ("hourly", None),
    ],
)
def test_named_periods_in_python_and_in_sql(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds
    with connect() as connection:
        assert connection.execute(f"SELECT {seconds_sql(literal(text), 'seconds')}").fetchall() == [(seconds,)]


def test_a_number_without_unit_may_count_minutes(home: Home, tmp_path: Path) -> None:
    base = {key: value for key, value in CANDLES.items() if key != "interval_seconds"}
    text = "when,exchange,pair,o,h,l,c,vol_k,i\n" + "".join(
        BAR.strip().replace("1760130000000", str(1760130000000 + number)) + f",{name}\n"
        for number, name in enumerate(("60", "D", "1M", "15"))
    )
    spec = base | {"interval": {"column": "i", "numbers": "minutes"}}
    rows = rows_of(home, declare(tmp_path / "in", spec, bars__csv=text))
    assert sorted(row["interval_seconds"] for row in rows) == [900, 3600, 86400]


@pytest.mark.parametrize("interval", ["1h", 3600, "60m", {"seconds": 3600}])
def test_constant_periods(home: Home, tmp_path: Path, interval: Any) -> None:
    spec = {key: value for key, value in CANDLES.items() if key != "interval_seconds"} | {"interval": interval}
    (row,) = rows_of(home, declare(tmp_path / "in", spec, bars__csv=HEADER + BAR))
    assert row["interval_seconds"] == 3600


def test_bars_that_are_stamped_with_their_end(home: Home, tmp_path: Path) -> None:
    base = {key: value for key, value in CANDLES.items() if key != "interval_seconds"}
    text = "when,exchange,pair,o,h,l,c,vol_k,i\n" + "".join(BAR.strip() + f",{name}\n" for name in ("15m", "1h"))
    spec = base | {"interval": {"column": "i"}, "period_label": "end"}
    rows = rows_of(home, declare(tmp_path / "in", spec, bars__csv=text))
    assert {row["interval_seconds"]: row["open_time"] for row in rows} == {
        900: datetime(2025, 10, 10, 20, 45, tzinfo=UTC),
        3600: datetime(2025, 10, 10, 20, 0, tzinfo=UTC),
    }


def test_a_daily_bar_stamped_with_its_end_belongs_to_the_day_before(home: Home, tmp_path: Path) -> None:
    spec = CANDLES | {"interval_seconds": 86400, "period_label": "end", "time": {"column": "when"}}
    text = HEADER + BAR.replace("1760130000000", "2025-10-11")
    (row,) = rows_of(home, declare(tmp_path / "in", spec, bars__csv=text))
    assert row["date"] == date(2025, 10, 10)


def test_period_of_sums(home: Home, tmp_path: Path) -> None:
    constants = {key: value for key, value in LIQUIDATIONS["constants"].items() if key != "period_seconds"}
    spec = LIQUIDATIONS | {"constants": constants, "interval": "1d"}
    rows = rows_of(home, declare(tmp_path / "in", spec, liq__csv="day,l,s\n2025-10-10,5,2\n"), "liquidations")
    assert {row["period_seconds"] for row in rows} == {86400}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (FUNDING | {"interval": "1h"}, "'interval' is not a column of funding"),
        (FUNDING | {"period_label": "end"}, "'period_label: end' goes with klines"),
        (CANDLES | {"interval": "1h"}, "either 'interval' or 'interval_seconds'"),
        (CANDLES | {"interval_seconds": None, "interval": "1M"}, "'1M' is no period of fixed length"),
        (CANDLES | {"interval_seconds": None, "interval": {}}, "give a period such as 1h, or 'column'"),
    ],
)
def test_periods_that_do_not_fit(tmp_path: Path, spec: dict[str, Any], said: str) -> None:
    assert said in refused(declare(tmp_path, spec, bars__csv=HEADER + BAR, rates__csv=funding("2025-10-10")))


# --- units


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        ("fraction", "0.0001", 0.0001),
        ("percent", "0.07", 0.0007),
        ("percent", "0.07%", 0.0007),
        ("percent", "-1.1 %", -0.011),
        ("bps", "3", 0.0003),
        ("percent", "7e-2", 0.0007),
        ("bps", "1.1E1", 0.0011),
    ],
)
def test_named_units_of_rates(home: Home, tmp_path: Path, unit: str, text: str, value: float) -> None:
    spec = FUNDING | {"columns": FUNDING["columns"] | {"funding_rate": {"column": "rate", "unit": unit}}}
    (row,) = rows_of(
        home, declare(tmp_path / "in", spec, rates__csv=f"at,symbol,rate\n2025-10-10,BTC,{text}\n"), "funding"
    )
    # To the last digit: 0.07 times 0.01 is 0.0007000000000000001.
    assert row["funding_rate"] == value


@pytest.mark.parametrize(("unit", "value"), [("thousand", 1500.0), ("million", 1.5e6), ("billion", 1.5e9)])
def test_named_units_of_amounts(home: Home, tmp_path: Path, unit: str, value: float) -> None:
    spec = CANDLES | {"columns": CANDLES["columns"] | {"base_quantity": {"column": "vol_k", "unit": unit}}}
    (row,) = rows_of(home, declare(tmp_path / "in", spec, bars__csv=HEADER + BAR))
    assert row["base_quantity"] == value


def test_units_of_sides(home: Home, tmp_path: Path) -> None:
    columns = {"long": {"column": "l", "unit": "million"}, "short": {"column": "s", "scale": -1}}
    spec = LIQUIDATIONS | {"unpivot": LIQUIDATIONS["unpivot"] | {"columns": columns}}
    rows = rows_of(home, declare(tmp_path / "in", spec, liq__csv="day,l,s\n2025-10-10,1.5,-2\n"), "liquidations")
    assert {row["liquidated_side"]: row["notional_usd"] for row in rows} == {"long": 1.5e6, "short": 2.0}


def test_bands_come_in_bps_percent_or_fractions(home: Home, tmp_path: Path) -> None:
    for number, (unit, text) in enumerate((("percent", "0.7"), ("fraction", "0.007"), ("bps", "70"))):
        spec = FUNDING | {
            "dataset": "depth",
            "path": f"{number}.csv",
            "columns": {
                "venue_symbol": "symbol",
                "base_asset": "symbol",
                "side": {"column": "side", "map": {"B": "bid", "S": "ask"}},
                "band_bps": {"column": "band", "unit": unit},
                "depth_usd": "usd",
            },
        }
        content = f"at,symbol,side,band,usd\n2025-10-10,{unit},B,{text},5\n"
        declare(tmp_path / "in", spec, name=f"s{number}", **{f"{number}__csv": content})
    rows = rows_of(home, tmp_path / "in", "depth")
    assert {row["venue_symbol"]: row["band_bps"] for row in rows} == {"percent": 70.0, "fraction": 70.0, "bps": 70.0}
    assert {row["side"] for row in rows} == {"bid"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"open": {"column": "o", "unit": "percent"}},
            "'open' cannot be in percent: one of thousand, million, billion",
        ),
        ({"open": {"column": "o", "unit": "furlong"}}, "columns.open.unit"),
        ({"open": {"column": "o", "unit": "million", "scale": 2}}, "either 'scale' or 'unit'"),
        ({"venue_symbol": {"column": "pair", "scale": 2}}, "'venue_symbol' is no quantity"),
        ({"open": {"column": "o", "map": {"a": "b"}}}, "'open' is a number: 'map', 'lower' and 'upper' go with texts"),
        ({"venue_symbol": {"column": "pair", "lower": True, "upper": True}}, "either 'lower' or 'upper'"),
    ],
)
def test_units_that_do_not_fit(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    spec = CANDLES | {"columns": CANDLES["columns"] | columns}
    assert said in refused(declare(tmp_path, spec, bars__csv=HEADER + BAR))


def test_whole_numbers_are_not_rounded_into_being(tmp_path: Path) -> None:
    spec = FUNDING | {
        "dataset": "leverage_tiers",
        "columns": {
            "venue_symbol": "symbol",
            "base_asset": "symbol",
            "tier_number": "tier",
            "notional_floor_usd": "low",
        },
        "constants": {"notional_cap_usd": 10, "maintenance_rate": 0.01, "maintenance_amount_usd": 0},
    }
    text = "at,symbol,tier,low\n2025-10-10,A,1.0,0\n2025-10-10,A,2,0\n2025-10-10,A,2.5,0\n"
    (declared,) = files.declared_files(declare(tmp_path, spec, rates__csv=text))
    assert files.examine(declared).unusable == 1


# --- words


def test_venues_and_words_are_mapped(home: Home, tmp_path: Path) -> None:
    spec = LIQUIDATIONS | {
        "unpivot": None,
        "venue": {"column": "ex", "map": {"Binance Futures": "binance"}, "completeness": {"binance": "sampled"}},
        "columns": {
            "notional_usd": "usd",
            "base_asset": {"column": "pair", "after": ":", "before": "-", "upper": True},
            "venue_symbol": {"column": "pair", "lower": True},
            "liquidated_side": {"column": "order", "map": {"SELL": "long", "BUY": "short"}},
        },
        "constants": {"contract_type": "linear", "period_seconds": 0},
    }
    text = (
        "day,ex,pair,order,usd\n2025-10-10,binance FUTURES,PERP:btc-USDT,SELL,5\n2025-10-10,OKX,PERP:eth-USDT,BUY,6\n"
        "2025-10-10,Bybit V5,PERP:eth-USDT,BUY,7\n2025-10-10,okx,PERP:eth-USDT,Cross,8\n2025-10-10,okx,PERP:sol-USDT,SELL,9\n"
    )
    rows = rows_of(home, declare(tmp_path / "in", spec, liq__csv=text), "liquidations")
    assert sorted((row["venue"], row["base_asset"], row["liquidated_side"], row["completeness"]) for row in rows) == [
        ("binance", "BTC", "long", "sampled"),
        ("okx", "ETH", "short", "partial"),
        ("okx", "SOL", "long", "partial"),
    ]
    assert {row["venue_symbol"] for row in rows} == {"perp:btc-usdt", "perp:eth-usdt", "perp:sol-usdt"}


# --- names of files


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        (
            "{venue_symbol}-{interval}-{date}.csv",
            "BTC-USDT-1h-2025-10-10.csv",
            {"venue_symbol": "BTC-USDT", "interval": "1h", "date": "2025-10-10"},
        ),
        (
            "{venue_symbol}-{interval}-{_}.csv",
            "BTC-PERP-1h-2025-10.csv",
            {"venue_symbol": "BTC-PERP", "interval": "1h"},
        ),
        ("{a}-{interval}.csv", "BTC-60.csv", None),
        ("{a}-{interval}.csv", "BTC-1M.csv", None),
        ("{a}_{date}.csv", "x_y_20251010.csv", {"a": "x_y", "date": "20251010"}),
        ("{venue}/{_}/{s}.csv", "root/okx/2025/BTC.csv", {"venue": "okx", "s": "BTC"}),
        ("a.{s}.csv", "a.$^(.csv", {"s": "$^("}),
        ("{s}.csv", "sub/BTC.csv", {"s": "BTC"}),
        ("{s}-{interval}.csv", "BTC.csv", None),
        ("{s}.csv", "BTC.csv.gz", None),
        ("{s}.CSV", "BTC.csv", None),
        ("{date}.csv", "2025-1-1.csv", None),
    ],
)
def test_names_by_template(text: str, name: str, found: dict[str, str] | None) -> None:
    assert template.parse(text).match(name) == found


def test_a_name_gives_symbol_period_and_day(home: Home, tmp_path: Path) -> None:
    spec = CANDLES | {
        "path": "*.csv",
        "filename": "{venue}_{venue_symbol}-{interval}-{date}.csv",
        "columns": {key: CANDLES["columns"][key] for key in ("open", "high", "low", "close")}
        | {"base_asset": {"column": "{venue_symbol}", "before": "-"}},
    }
    spec = {key: value for key, value in spec.items() if key not in {"venue", "time", "interval_seconds"}}
    folder = declare(tmp_path / "in", spec)
    (folder / "okx_BTC-USDT-1d-2025-10-10.csv").write_text("o,h,l,c\n10,12,9,11\n")
    (folder / "bybit_ETH-USD-4h-20251011.csv").write_text("o,h,l,c\n10,12,9,11\n")
    rows = rows_of(home, folder)
    assert sorted((r["venue"], r["venue_symbol"], r["base_asset"], r["interval_seconds"], r["date"]) for r in rows) == [
        ("bybit", "ETH-USD", "ETH", 14400, date(2025, 10, 11)),
        ("okx", "BTC-USDT", "BTC", 86400, date(2025, 10, 10)),
    ]


def test_members_have_names_too(home: Home, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for symbol in ("BTC", "ETH"):
            archive.writestr(f"day/{symbol}_2025-10-10.csv", "rate\n0.1\n")
    spec = FUNDING | {
        "path": "*.zip",
        "filename": "{venue_symbol}_{date}.csv",
        "columns": {"base_asset": "{venue_symbol}", "funding_rate": "rate"},
    }
    del spec["time"]
    rows = rows_of(home, declare(tmp_path / "in", spec, rates__zip=out.getvalue()), "funding")
    assert sorted((row["venue_symbol"], row["date"]) for row in rows) == [
        ("BTC", date(2025, 10, 10)),
        ("ETH", date(2025, 10, 10)),
    ]


def test_names_that_do_not_fit_or_fit_twice_are_refused(tmp_path: Path) -> None:
    spec = FUNDING | {"filename": "{venue_symbol}-{base_asset}.csv", "columns": {"funding_rate": "rate"}}
    folder = declare(tmp_path, spec, rates__csv=funding("2025-10-10"))
    assert "the name 'rates.csv' is not of the form '{venue_symbol}-{base_asset}.csv'" in refused(folder)
    (folder / "rates.csv").rename(folder / "A-B-C.csv")
    declare(folder, spec | {"path": "A-B-C.csv"})
    assert "fits 'filename' in more than one way (venue_symbol 'A', base_asset 'B-C'; or" in refused(folder)
    columns = FUNDING["columns"] | {"base_asset": "{symbol}"}
    assert "'{symbol}' is no placeholder of 'filename'" in refused(declare(folder, FUNDING | {"columns": columns}))


def test_periods_of_a_file_bound_its_rows(tmp_path: Path) -> None:
    start = datetime(2025, 10, 10, 23, 30, tzinfo=UTC)
    content = json.dumps(
        [{"at": (start + timedelta(hours=hour)).isoformat(), "symbol": "BTC", "rate": 0.1} for hour in range(3)]
    )
    folder = declare(tmp_path, FUNDING | {"format": "json", "path": "rates.json"}, rates__json=content)
    ((dataset, arrival),) = files.arrivals(folder)
    assert (dataset, arrival.period_start, arrival.period_end) == ("funding", date(2025, 10, 10), date(2025, 10, 11))
