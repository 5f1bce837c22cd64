"""Basis, liquidity and early warning of one venue over 43 days, with what real feeds lack: days, hours, sides, settlements."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pytest
from drawn_cuts import drawn_cut

pytestmark = pytest.mark.xdist_group("dbt_crowding")

FIRST = datetime(2025, 9, 1, tzinfo=UTC)
DAYS = 43
EVENT = 39
"""Number of the day of the cascade, 10 October."""
LISTED = 35
NO_CANDLE, NO_TRADE, NO_SETTLEMENT, ONE_SIDE = 12, 20, 15, 25
MARTS = {
    "fct_basis": "basis_date",
    "fct_liquidity": "hour_start_at::date",
    "fct_early_warning": "crowding_date",
    "fct_early_warning_backtest": "score_date",
}
MEASURES = (
    "funding_rate_annualised",
    "funding_rate_annualised_7d",
    "long_short_ratio",
    "open_interest_to_volume",
    "open_interest_to_depth",
    "leverage_estimate",
    "open_interest_growth_7d",
)


def at(moment: datetime) -> str:
    return f"timestamptz '{moment.isoformat()}'"


def day_of(number: int) -> date:
    return (FIRST + timedelta(days=number)).date()


def close(number: int) -> float:
    return 128.0 + number * 5 % 7 - 3


def low(number: int) -> float:
    return 32.0 if number == EVENT else 120.0 - number * 3 % 11


def depth(number: int) -> float:
    return (1000.0 + number * 11 % 17) / (4 if number == EVENT else 1)


def candles(symbol: str, numbers: range) -> Iterator[dict]:
    for number in numbers:
        if number != NO_CANDLE:
            volume = 0.0 if number == NO_TRADE else 10.0 + number * 5 % 13
            moment = FIRST + timedelta(days=number)
            yield {
                "date": moment.date(),
                "venue_symbol": f"'{symbol}'",
                "open_time": at(moment),
                "interval_seconds": 86400,
                "open": 128.0,
                "high": 160.0,
                "low": low(number),
                "close": close(number),
                "volume": volume,
                "turnover": volume * 128,
            }


def settlements(symbol: str, numbers: range) -> Iterator[dict]:
    """Every eight hours, stamped some milliseconds late."""
    for number in numbers:
        for hour in (0, 8, 16):
            if (number, hour) != (NO_SETTLEMENT, 8):
                moment = FIRST + timedelta(days=number, hours=hour, milliseconds=number % 5)
                yield {
                    "date": moment.date(),
                    "venue_symbol": f"'{symbol}'",
                    "funding_time": at(moment),
                    "funding_rate": (number * 7 % 11 - 3) / 1024,
                }


def books() -> Iterator[dict]:
    """Two snapshots in one hour of each day, the second half as deep."""
    for number in range(DAYS):
        for minute, share in ((0, 1.0), (30, 0.5)):
            moment = FIRST + timedelta(days=number, hours=10, minutes=minute)
            for percentage in (-1.0,) if number == ONE_SIDE else (-1.0, 1.0):
                notional = depth(number) * share / 2
                yield {
                    "date": moment.date(),
                    "observed_at": at(moment),
                    "percentage": percentage,
                    "notional": notional,
                    "quantity": notional / 128,
                    "is_floor": "false",
                }


def fill(world) -> None:
    """BTCUSDT from the first day, ETHUSDT from its listing on the 36th, both on Binance alone."""
    um = {"product": "'um'"}
    for symbol, numbers in (("BTCUSDT", range(DAYS)), ("ETHUSDT", range(LISTED, DAYS))):
        world.add("binance__klines", list(candles(symbol, numbers)), **um)
        world.add("binance__funding", list(settlements(symbol, numbers)), **um)
    index = [
        {name: value for name, value in bar.items() if name not in ("volume", "turnover")}
        | {"high": 128.0, "low": 128.0, "close": 128.0, "price_kind": "'index'"}
        for bar in candles("BTCUSDT", range(DAYS))
    ]
    world.add("binance__reference_klines", index, **um)
    interest, ratios = [], []
    for number in range(DAYS):
        moment = FIRST + timedelta(days=number, hours=22)
        row = {"date": moment.date(), "venue_symbol": "'BTCUSDT'", "observed_at": at(moment), "period_seconds": 300}
        base = 100.0 + number * 17 % 29
        interest.append({**row, "open_interest": base, "open_interest_value": base * 128})
        ratios.append({**row, "population": "'accounts'", "long_short_ratio": 1 + number * 13 % 19 / 16})
    world.add("binance__open_interest", interest, **um)
    world.add("binance__long_short_ratios", ratios, **um)
    world.add("binance__depth", list(books()), venue_symbol="'BTCUSDT'", **um)


Query = Callable[[str], list[dict[str, Any]]]


def rows_of(path: Path, query: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        cursor = connection.execute(query)
        names = [item[0] for item in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def build(run_dbt) -> Callable[[Path, Path], Query]:
    """Build the marts of crowding and what they need, without tests; what is returned answers queries."""

    def run(raw: Path, work: Path) -> Query:
        chosen = ("--select", *(f"+{mart}" for mart in MARTS))
        done = run_dbt(raw, work, "build", "--no-use-colors", "--exclude-resource-type", "test", "unit_test", *chosen)
        assert done.returncode == 0, done.stdout[-6000:]
        return partial(rows_of, work / "warehouse.duckdb")

    return run


@pytest.fixture(scope="module")
def raw(tmp_path_factory, raw_world) -> Path:
    world = raw_world(tmp_path_factory.mktemp("crowding") / "raw")
    fill(world)
    return world.root


@pytest.fixture(scope="module")
def ask(raw, build) -> Query:
    return build(raw, raw.parent)


@pytest.fixture(scope="module")
def warnings(ask):
    """Early warning of BTCUSDT, by number of the day."""
    rows = ask("select * from marts.fct_early_warning where venue_symbol = 'BTCUSDT' order by crowding_date")
    return {(row["crowding_date"] - FIRST.date()).days: row for row in rows}


@pytest.fixture(scope="module")
def basis(ask):
    """Basis of BTCUSDT, by number of the day."""
    rows = ask("select * from marts.fct_basis where venue_symbol = 'BTCUSDT' order by basis_date")
    return {(row["basis_date"] - FIRST.date()).days: row for row in rows}


def test_basis_and_funding_of_a_day(basis):
    """Day 10 closes at 126 over 128, and pays three times 1 / 1024, 1095 times a year."""
    row = basis[10]
    assert (row["basis_mean_bps"], row["basis_close_bps"], row["basis_bars"]) == (-156.25, -156.25, 1)
    assert (row["funding_settlements"], row["funding_interval_seconds"]) == (3, 28800)
    assert (row["funding_rate_sum"], row["funding_rate_annualised"]) == (3 / 1024, 1095 / 1024)
    assert (row["completeness"], row["is_perpetual"], row["basis_annualised"]) == ("complete", None, None)


def test_two_gaps_are_no_interval(basis):
    assert (basis[0]["funding_settlements"], basis[0]["funding_rate_annualised"]) == (3, None)
    assert basis[1]["funding_interval_seconds"] == 28800


def test_missing_settlement_is_flagged_and_does_not_stretch_the_interval(basis):
    """Two settlements of 3 / 1024 are still three a day."""
    row = basis[NO_SETTLEMENT]
    assert (row["funding_settlements"], row["funding_interval_seconds"]) == (2, 28800)
    assert (row["funding_rate_annualised"], row["completeness"]) == (3 * 1095 / 1024, "partial")


def test_day_without_a_candle_has_funding_and_no_basis(basis):
    row = basis[NO_CANDLE]
    assert (row["basis_mean_bps"], row["basis_bars"], row["funding_settlements"]) == (None, None, 3)


def test_contract_without_an_index_has_no_basis(ask):
    rows = ask("select * from marts.fct_basis where venue_symbol = 'ETHUSDT'")
    assert len(rows) == DAYS - LISTED
    assert {row["basis_mean_bps"] for row in rows} == {None}


def test_measures_of_the_last_quiet_day(warnings):
    """Day 38: volumes of days 32 to 38 are 14, 19, 11, 16, 21, 13, 18 BTC; the lowest low of days 9 to 38 is 110."""
    row = warnings[38]
    assert row["open_interest_usd"] == (100 + 8) * 128
    assert row["open_interest_to_volume"] == pytest.approx(108 / (112 / 7))
    assert row["open_interest_to_depth"] == pytest.approx(108 * 128 / ((1000 + 10) * 0.75))
    assert row["open_interest_growth_7d"] == pytest.approx(108 / 105 - 1)
    assert row["leverage_estimate"] == pytest.approx(160 / (160 - 110))
    assert row["long_short_ratio"] == 1
    assert row["source_class"] == "estimated"


def test_leverage_falls_with_the_day_that_nobody_survives(warnings):
    """A low of 32 after a high of 160: 0.8 gone, so 1.25 times at most, for thirty days."""
    assert [warnings[number]["leverage_estimate"] for number in range(EVENT, DAYS)] == pytest.approx(
        [1.25] * (DAYS - EVENT)
    )


def test_day_without_trades_counts_as_nothing_traded(warnings):
    """Days 14 to 20 traded 15, 20, 12, 17, 22, 14 and 0 BTC."""
    assert warnings[NO_TRADE]["open_interest_to_volume"] == pytest.approx((100 + 21) / (100 / 7))


def test_week_with_a_missing_day_is_partial(warnings):
    assert warnings[NO_CANDLE + 1]["open_interest_to_volume"] is not None
    assert warnings[NO_CANDLE + 1]["completeness"] == "partial"


def test_one_side_of_the_book_is_no_depth(warnings, ask):
    assert warnings[ONE_SIDE]["open_interest_to_depth"] is None
    day = day_of(ONE_SIDE)
    (row,) = ask(f"select * from marts.fct_liquidity where hour_start_at::date = '{day}'")
    assert (row["depth_1pct_usd"], row["lowest_depth_1pct_usd"], row["depth_1pct_collapse"]) == (None, None, None)
    assert row["bid_depth_1pct_usd"] > 0
    assert row["snapshots"] == 2


def test_depth_collapses_against_earlier_hours(ask):
    """Every hour against the median of the hours of the 30 days before, brute force; none before 24 of them."""
    rows = ask("select * from marts.fct_liquidity order by hour_start_at")
    assert len(rows) == DAYS
    for number, row in enumerate(rows):
        past = [depth(n) * 0.75 for n in range(max(number - 30, 0), number) if n != ONE_SIDE]
        assert row["baseline_hours"] == len(past)
        if len(past) < 24:
            assert row["routine_depth_1pct_usd"] is None
        elif number != ONE_SIDE:
            assert row["routine_depth_1pct_usd"] == pytest.approx(median(past))
            assert row["depth_1pct_collapse"] == pytest.approx(1 - depth(number) * 0.75 / median(past))
            assert row["deepest_depth_1pct_collapse"] == pytest.approx(1 - depth(number) * 0.5 / median(past))
    assert rows[EVENT]["depth_1pct_collapse"] > 0.7


def test_percentiles_are_ranks_among_strictly_earlier_days(warnings):
    """Brute force over all measures: smaller days whole, equal days half, none with fewer than thirty."""
    known = 0
    for number, row in warnings.items():
        percentiles = []
        for measure in MEASURES:
            past = [earlier[measure] for n, earlier in warnings.items() if n < number and earlier[measure] is not None]
            found = row[f"{measure}_percentile"]
            if row[measure] is None or len(past) < 30:
                assert found is None, (number, measure)
                continue
            value = row[measure]
            expected = (sum(one < value for one in past) + sum(one == value for one in past) / 2) / len(past)
            assert found == pytest.approx(expected), (number, measure)
            percentiles.append(found)
        known += len(percentiles)
        assert row["score_parts"] == len(percentiles)
        if percentiles:
            assert row["crowding_score"] == pytest.approx(sum(percentiles) / len(percentiles))
        else:
            assert row["crowding_score"] is None
    assert known > 50


def test_contract_listed_in_the_window_has_measures_and_no_score(ask):
    rows = ask("select * from marts.fct_early_warning where venue_symbol = 'ETHUSDT'")
    assert len(rows) == DAYS - LISTED - 1
    assert {(row["crowding_score"], row["score_parts"]) for row in rows} == {(None, 0)}


def test_backtest_ranks_the_days_before_the_event(ask, warnings):
    """The market is its only contract with a score; with few earlier days there is a rank and no percentile."""
    rows = ask("select * from marts.fct_early_warning_backtest order by venue, horizon_days")
    assert [(row["venue"], row["venue_symbol"], row["horizon_days"]) for row in rows] == [
        (venue, symbol, horizon)
        for venue, symbol in (("binance", "BTCUSDT"), ("market", "all"))
        for horizon in (1, 3, 7)
    ]
    for row in rows:
        number = EVENT - row["horizon_days"]
        score = warnings[number]["crowding_score"]
        past = [
            one["crowding_score"] for n, one in warnings.items() if n < number and one["crowding_score"] is not None
        ]
        assert (row["score_date"], row["crowding_score"]) == (day_of(number), score)
        assert (row["days_compared"], row["score_rank"]) == (len(past), 1 + sum(one > score for one in past))
        assert (row["score_percentile"], row["contracts_scored"]) == (None, 1)


@pytest.mark.parametrize("last", [EVENT - 1, EVENT, drawn_cut("crowding", 31, EVENT - 1)])
def test_later_days_change_no_earlier_row(tmp_path, raw, ask, build, last):
    """What happened after a day is taken away: every row up to that day stays the same in every bit."""
    shorter = tmp_path / "raw"
    shutil.copytree(raw, shorter)
    for folder in shorter.glob("*/*/date=*"):
        if date.fromisoformat(folder.name.removeprefix("date=")) > day_of(last):
            shutil.rmtree(folder)
    truncated = build(shorter, tmp_path)
    for mart, day in MARTS.items():
        before = [repr(row) for row in ask(f"select * from marts.{mart} where {day} <= '{day_of(last)}' order by all")]
        after = [repr(row) for row in truncated(f"select * from marts.{mart} order by all")]
        assert before, mart
        assert after == before, mart
