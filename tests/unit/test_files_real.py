"""The shipped specs on the real files, counted again by other means."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from declared import built

from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore
from dagster_project.sources import files

pytestmark = pytest.mark.real


def test_every_shipped_spec_fits_its_file_and_no_row_is_lost(real_data: Path) -> None:
    report = files.explain(real_data)
    report.require_fit()
    rows = {file.name: 0 for file in report.files}
    for file in report.files:
        assert file.usable == file.rows
        rows[file.name] += file.rows
    candles = pq.read_table(real_data / "candles_hourly" / "candles.parquet")
    with (real_data / "liquidations_btc_daily" / "btc_liquidations_usd.csv").open() as lines:
        days = sum(1 for _ in csv.DictReader(lines))
    with (real_data / "hyperliquid_adl_2025_10_10" / "per_shock_metrics_queue.csv").open() as lines:
        clusters = sum(1 for _ in csv.DictReader(lines))
    tiers = {
        day: sum(map(len, json.loads((real_data / "binance_leverage_tiers" / f"{day}.json").read_text()).values()))
        for day in ("2025-10-09", "2025-10-16")
    }
    assert rows == {
        "candles_hourly/candles.parquet": candles.num_rows,
        "candles_hourly/funding_rates.parquet": pq.read_metadata(
            real_data / "candles_hourly" / "funding_rates.parquet"
        ).num_rows,
        "liquidations_btc_daily/btc_liquidations_usd.csv": 2 * days,
        "hyperliquid_adl_2025_10_10/per_shock_metrics_queue.csv": clusters,
        **{f"binance_leverage_tiers/{day}.json": count for day, count in tiers.items()},
    }
    by_spec = {file.spec_name: file for file in report.files}
    okx = candles.filter(pc.equal(candles["venue"], "okx"))
    assert by_spec["candles_hourly.klines_okx.delever.yaml"].rows == okx.num_rows
    first, last = pc.min(okx["timestamp"]).as_py(), pc.max(okx["timestamp"]).as_py()
    assert by_spec["candles_hourly.klines_okx.delever.yaml"].first == first
    assert by_spec["candles_hourly.klines_okx.delever.yaml"].last == last


def test_arrivals_are_bounded_by_their_days(real_data: Path) -> None:
    found = {(dataset, arrival.origin): arrival for dataset, arrival in files.arrivals(real_data)}
    liquidations = found["liquidations", "liquidations_btc_daily/btc_liquidations_usd.csv"]
    assert (liquidations.period_start.isoformat(), liquidations.period_end.isoformat()) == ("2025-09-22", "2025-12-31")
    adl = found["adl", "hyperliquid_adl_2025_10_10/per_shock_metrics_queue.csv"]
    assert adl.period_start == adl.period_end == datetime(2025, 10, 10, tzinfo=UTC).date()
    assert all(arrival.licence for arrival in found.values())


def test_sums_in_raw_are_those_of_the_file(home: Home, real_data: Path) -> None:
    intake = built(home, real_data, "liquidations")
    assert intake.quarantined == 0
    with (real_data / "liquidations_btc_daily" / "btc_liquidations_usd.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    with connect() as connection:
        relation = RawStore(home.raw, home.scratch).relation("files_liquidations")
        found = dict(
            connection.execute(f"SELECT liquidated_side, sum(notional_usd) FROM ({relation}) GROUP BY ALL").fetchall()
        )
    assert found == pytest.approx({side: sum(float(row[f"{side}_usd"]) for row in rows) for side in ("long", "short")})
