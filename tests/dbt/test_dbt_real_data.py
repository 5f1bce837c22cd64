"""Real candles and liquidations: known lows, honest flags, and one tax cell recomputed in plain Python."""

import csv
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest
from drawn_cuts import drawn_cut

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("dbt_real_data")]


def origin(landing_path: str) -> str:
    return (
        f"'{landing_path}' as source, 'measured' as source_class, '{landing_path}' as landing_path, "
        "timestamptz '2026-11-01 00:00:00+00' as ingested_at"
    )


FIRST_DAY, END_DAY = date(2025, 8, 1), date(2026, 3, 1)
"""Days of the candles that are read: some weeks before the event, and whole days to the end of the files."""


def fill(world, real_data, end):
    """The candles, the funding and the daily liquidations of BTC before a day."""
    candles = real_data / "candles_hourly" / "candles.parquet"
    # The okx column `v` counts contracts (0.01 BTC, 1000 DOGE, ...), not base units: without its contract values its
    # volume is unknown.
    world.add_query(
        "files_klines",
        f"""
        select
            venue, cast(timestamp as date) as date, {origin("candles.parquet")},
            case when venue in ('binance', 'bybit') then 'complete' else 'partial' end as completeness,
            coin as venue_symbol, coin as base_asset, 'linear' as contract_type, 'last' as price_kind,
            3600 as interval_seconds, timestamp as open_time, o as open, h as high, l as low, c as close,
            case when venue <> 'okx' then v end as base_quantity, cast(null as double) as notional_usd
        from '{candles}'
        where timestamp >= timestamptz '{FIRST_DAY} 00:00:00+00' and timestamp < timestamptz '{end} 00:00:00+00'
        """,
    )
    rates = real_data / "candles_hourly" / "funding_rates.parquet"
    world.add_some(
        "files_funding",
        f"""
        select
            venue, cast(timestamp as date) as date, {origin("funding_rates.parquet")},
            case when venue in ('binance', 'bybit') then 'complete' else 'partial' end as completeness,
            coin as venue_symbol, coin as base_asset, timestamp as event_at, funding_rate
        from '{rates}'
        where timestamp >= timestamptz '{FIRST_DAY} 00:00:00+00' and timestamp < timestamptz '{end} 00:00:00+00'
        """,
    )
    liquidations = real_data / "liquidations_btc_daily" / "btc_liquidations_usd.csv"
    world.add_query(
        "files_liquidations",
        f"""
        select
            'market' as venue, date, {origin("btc_liquidations_usd.csv")}, 'partial' as completeness,
            'BTC' as venue_symbol, 'BTC' as base_asset, 'linear' as contract_type,
            cast(date as timestamptz) as event_at, 86400 as period_seconds, side as liquidated_side,
            cast(null as double) as base_quantity, cast(null as varchar) as price_basis,
            case side when 'long' then long_usd else short_usd end as notional_usd
        from read_csv('{liquidations}'), (values ('long'), ('short')) as sides (side)
        where date < date '{end}'
        """,
    )


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, real_data, raw_world, build_warehouse):
    """Built from all that is read of the files."""
    work = tmp_path_factory.mktemp("real")
    world = raw_world(work / "raw")
    fill(world, real_data, END_DAY)
    return build_warehouse(world.root, work)


LOOKING_BACK = {
    "intermediate.int_asset_tiers__daily": "tier_date",
    "marts.fct_liquidation_tax": "tax_date",
    "marts.fct_early_warning": "crowding_date",
}
"""Tiers, baselines with their regimes, percentiles with the score: what is measured against the past."""


def test_later_files_change_no_earlier_row(tmp_path, real_data, raw_world, run_dbt, warehouse):
    """The files end on a drawn day after the event, two months or more too early: earlier rows are the same in every bit."""
    end = FIRST_DAY + timedelta(days=drawn_cut("real", 80, (END_DAY - FIRST_DAY).days - 60))
    world = raw_world(tmp_path / "raw")
    fill(world, real_data, end)
    options = ("--exclude-resource-type", "test", "unit_test", "--select", "+fct_liquidation_tax", "+fct_early_warning")
    done = run_dbt(world.root, tmp_path, "build", "--no-use-colors", *options)
    assert done.returncode == 0, done.stdout[-4000:]
    for table, day in LOOKING_BACK.items():
        query = f"select * from {table} where {day} < date '{end}' order by all"
        expected = [repr(row) for row in warehouse.rows(query)]
        with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            cursor = connection.execute(query)
            names = [item[0] for item in cursor.description]
            found = [repr(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
        assert found == expected, f"{table}, cut at {end}"
        assert len(expected) > 60, table
    known = {
        "marts.fct_liquidation_tax": "regime is not null",
        "marts.fct_early_warning": "crowding_score is not null",
        "intermediate.int_asset_tiers__daily": "tier_basis = 'trailing_volume'",
    }
    for table, condition in known.items():
        query = f"select count(*) as known from {table} where {condition} and {LOOKING_BACK[table]} < date '{end}'"
        assert warehouse.row(query)["known"] > 0, table


def test_lows_of_the_cascade_hour(warehouse):
    rows = warehouse.rows("""
        select venue, low_price, phase, volume_basis, completeness, liquidated_long_usd
        from marts.fct_event_window
        where base_asset = 'BTC' and bar_start_at = '2025-10-10 21:00:00+00' and venue in ('binance', 'bybit')
    """)
    assert {row["venue"]: row["low_price"] for row in rows} == {"binance": 101516.5, "bybit": 101045.9}
    assert {(row["phase"], row["volume_basis"], row["completeness"]) for row in rows} == {
        ("cascade", "derived_from_base", "complete")
    }
    assert {row["liquidated_long_usd"] for row in rows} == {None}, "daily sums are no values of an hour"


def test_unattributed_liquidations_stay_partial(warehouse):
    rows = warehouse.rows("select distinct venue, completeness, liquidation_basis from marts.fct_liquidation_tax")
    assert [(r["venue"], r["completeness"], r["liquidation_basis"]) for r in rows] == [
        ("market", "partial", "unattributed_feed")
    ]


def test_tax_of_10_october_recomputed(warehouse, real_data):
    """Long plus short of the CSV over base volume x typical price of 24 hours on the two complete venues."""
    with (real_data / "liquidations_btc_daily" / "btc_liquidations_usd.csv").open() as handle:
        (day,) = [row for row in csv.DictReader(handle) if row["date"] == "2025-10-10"]
    liquidated = float(day["long_usd"]) + float(day["short_usd"])
    candles = real_data / "candles_hourly" / "candles.parquet"
    with duckdb.connect() as connection:
        bars = connection.execute(
            f"select epoch(timestamp), h, l, c, v from '{candles}' where coin = 'BTC' and venue in ('binance', 'bybit')"
        ).fetchall()
    start = datetime(2025, 10, 10, tzinfo=UTC).timestamp()
    hours = [bar for bar in bars if start <= bar[0] < start + 86400]
    assert len(hours) == 48
    volume = sum(base * (high + low + close) / 3 for _, high, low, close, base in hours)
    row = warehouse.row("""
        select * from marts.fct_liquidation_tax
        where tax_date = '2025-10-10' and venue = 'market' and tier = 'major'
    """)
    assert row["liquidated_usd"] == pytest.approx(liquidated, rel=1e-12)
    assert row["volume_usd"] == pytest.approx(volume, rel=1e-9)
    assert row["tax_bps"] == pytest.approx(1e4 * liquidated / volume, rel=1e-9)
    assert row["volume_venues"] == "binance,bybit"
    assert row["regime"] == "stress"


def test_high_of_the_year(warehouse):
    query = "select * from marts.fct_reconciliation where figure_id like 'btc_high_2025%' order by figure_id"
    high, day = warehouse.rows(query)
    # The level lies in the published range; the publishers contradict each other about the day.
    assert (high["status"], high["computed_value"], high["source_class"]) == ("conflict", 126208.5, "measured")
    for row in (high, day):
        assert "S says that the high was at the start of the year" in row["note"]
        assert "on binance" in row["note"]
    assert "the value lies in the published range" in high["note"]
    assert (day["status"], str(day["computed_date"]), day["source_class"]) == ("conflict", "2025-10-06", "measured")


def test_partial_sums_never_match(warehouse):
    row = warehouse.row("select * from marts.fct_reconciliation where figure_id = 'binance_volume_2025'")
    assert row["status"] == "not_computable"
    assert row["computed_value"] < row["published_value"]
    assert "contracts covered" in row["note"]
