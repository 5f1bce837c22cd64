"""The whole path on real files alone: what the issue's reader would look up, recomputed here from the raw files."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from built_homes import Built, impossible_numbers

pytestmark = [pytest.mark.xdist_group("real"), pytest.mark.real]


def ask(built: Built, sql: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect(str(built.home.published_marts.resolve()), read_only=True)
    try:
        connection.execute("SET search_path = 'marts'; SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def in_warehouse(built: Built, sql: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect(str(built.home.warehouse), read_only=True)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_nothing_in_the_marts_is_synthetic(real: Built) -> None:
    for table in (
        "fct_exchange_share",
        "fct_liquidation_tax",
        "fct_event_window",
        "dim_contract",
        "fct_reconciliation",
    ):
        classes = {row[0] for row in ask(real, f"SELECT DISTINCT source_class FROM {table}")}
        assert "synthetic" not in classes, table


@pytest.mark.parametrize(("venue", "low"), [("binance", 101_516.5), ("bybit", 101_045.9)])
def test_low_of_btc_in_the_hour_of_21_utc(real: Built, venue: str, low: float) -> None:
    rows = ask(
        real,
        "SELECT low_price, phase, interval_seconds FROM fct_event_window WHERE event_id = '2025_10_10' "
        f"AND venue = '{venue}' AND base_asset = 'BTC' AND bar_start_at = TIMESTAMPTZ '2025-10-10 21:00:00+00'",
    )
    assert rows == [(low, "cascade", 3600)]


def candles(real_data: Path, venues: set[str], day: date) -> dict[str, float]:
    """USD volume of BTC a venue and day: base volume at the mean of high, low and close, in plain Python."""
    table = pq.read_table(real_data / "candles_hourly" / "candles.parquet")
    table = table.filter(pc.equal(table["coin"], "BTC"))
    volume: dict[str, float] = {}
    for row in table.to_pylist():
        if row["venue"] in venues and row["timestamp"].astimezone(UTC).date() == day:
            usd = row["v"] * (row["h"] + row["l"] + row["c"]) / 3
            volume[row["venue"]] = volume.get(row["venue"], 0.0) + usd
    return volume


@pytest.mark.parametrize("day", [date(2025, 9, 22), date(2025, 10, 10), date(2025, 12, 31)])
def test_daily_tax_of_btc_is_the_file_over_binance_and_bybit(real: Built, real_data: Path, day: date) -> None:
    with (real_data / "liquidations_btc_daily" / "btc_liquidations_usd.csv").open() as lines:
        (row,) = [row for row in csv.DictReader(lines) if row["date"] == day.isoformat()]
    liquidated = float(row["long_usd"]) + float(row["short_usd"])
    volume = sum(candles(real_data, {"binance", "bybit"}, day).values())
    found = ask(
        real,
        "SELECT tax_bps, completeness, source_class, volume_venues, volume_basis FROM fct_liquidation_tax "
        f"WHERE venue = 'market' AND tier = 'all' AND tax_date = DATE '{day}'",
    )
    assert len(found) == 1
    assert found[0][0] == pytest.approx(1e4 * liquidated / volume, rel=1e-9)
    assert found[0][1:3] == ("partial", "measured")
    assert str(found[0][3]).replace(" ", "") == "binance,bybit"
    assert found[0][4] == "derived_from_base"


def test_volume_shares_say_that_they_are_derived_from_base_volume(real: Built) -> None:
    found = ask(
        real,
        "SELECT DISTINCT venue, volume_basis FROM fct_exchange_share WHERE venue IN ('binance', 'bybit') ORDER BY venue",
    )
    assert found == [("binance", "derived_from_base"), ("bybit", "derived_from_base")]


def test_volume_in_contracts_is_not_taken_for_base_volume(real: Built) -> None:
    assert ask(real, "SELECT count(*) FROM fct_exchange_share WHERE venue = 'okx'") == [(0,)]
    bars = in_warehouse(
        real,
        "SELECT count(*) > 0, count(base_quantity), count(notional_usd) FROM staging.stg_files__klines WHERE venue = 'okx'",
    )
    assert bars == [(True, 0, 0)], "the prices are kept"


def test_adl_without_candles_is_in_the_window(real: Built, real_data: Path) -> None:
    with (real_data / "hyperliquid_adl_2025_10_10" / "per_shock_metrics_queue.csv").open() as lines:
        expected = sum(float(row["budget_queue_usd"]) for row in csv.DictReader(lines))
    found = ask(real, "SELECT sum(adl_haircut_usd), sum(adl_usd) FROM fct_event_window WHERE venue = 'hyperliquid'")
    assert found[0][0] == pytest.approx(expected, rel=1e-9)
    assert found[0][1] is None, "closed notional is not in the file, so it is unknown and not zero"


def test_no_published_number_is_infinite_or_none(real: Built) -> None:
    assert impossible_numbers(real.home) == []


def test_reconciliation_on_real_data(real: Built) -> None:
    found = {
        row[0]: row
        for row in ask(real, "SELECT figure_id, status, source_class, computed_date FROM fct_reconciliation")
    }
    assert found["average_daily_volume_2025"][1:3] == ("explained", "published")
    for figure in ("btc_high_2025", "btc_high_2025_date"):
        assert found[figure][1:] == ("conflict", "measured", date(2025, 10, 6))
    assert found["volume_2025"][1] == "not_computable"


def test_tiers_keep_their_days_of_validity(real: Built) -> None:
    sql = "SELECT DISTINCT valid_from_at::DATE FROM staging.stg_files__leverage_tiers ORDER BY 1"
    assert in_warehouse(real, sql) == [(date(2025, 10, 9),), (date(2025, 10, 16),)]


def test_only_contracts_of_the_data_are_listed(real: Built) -> None:
    assert ask(real, "SELECT count(*) FROM dim_contract WHERE first_seen_date IS NULL") == [(0,)]


def test_manifest_names_origin_and_licence_of_every_file(real: Built) -> None:
    from dagster_project.lib.landing import Landing  # noqa: PLC0415

    entries = Landing(real.home.landing).all_files()
    # Two files of tiers, one each of the rest; the candles come in by two specs.
    assert len(entries) == 7
    assert all(entry.licence and entry.sha256 and entry.fetched_at < datetime.now(UTC) for entry in entries)
