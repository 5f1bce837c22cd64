"""A world of a few rows, whose numbers were worked out by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest

pytestmark = pytest.mark.xdist_group("dbt_small_world")

DAY = date(2025, 10, 10)
STRESS = datetime(2025, 10, 10, 21, 15, tzinfo=UTC)


def at(moment: datetime) -> str:
    return f"timestamptz '{moment.isoformat()}'"


def bar(symbol, start, volume, turnover, *, low=90.0, close=100.0, **more):
    return {
        "date": start.date(),
        "venue_symbol": f"'{symbol}'",
        "open_time": at(start),
        "open": 100.0,
        "high": 110.0,
        "low": low,
        "close": close,
        "volume": volume,
        "turnover": turnover,
        **more,
    }


def binance_world(world):
    """Twenty quiet days of 10 bps and a day of 400 bps on Binance; the last day in hours, of which one page overlaps."""
    midnight = datetime(2025, 10, 10, tzinfo=UTC)
    days = [midnight - timedelta(days=n) for n in range(1, 21)]
    bars = [bar("BTCUSDT", day, 10.0, 1000.0, interval_seconds=86400) for day in days]
    hours = [midnight + timedelta(hours=n) for n in range(24)]
    bars += [
        bar("BTCUSDT", hour, 1.0, 100.0, interval_seconds=3600, low=50.0 if hour.hour == 21 else 90.0) for hour in hours
    ]
    world.add("binance__klines", bars, product="'um'")
    overlap = bar("BTCUSDT", hours[-1], 1.0, 100.0, interval_seconds=3600, landing_path="'fixture/page-2'")
    world.add("binance__klines", [overlap], product="'um'")

    def order(moment, quantity, side="sell"):
        return {
            "date": moment.date(),
            "venue_symbol": "'BTCUSDT'",
            "event_time": at(moment),
            "side": f"'{side}'",
            "order_status": "'FILLED'",
            "quantity": quantity,
            "filled_quantity": quantity,
            "price": 100.0,
            "average_price": 100.0,
        }

    orders = [order(day + timedelta(hours=1), 0.01) for day in days]
    orders += [order(STRESS, 0.72), order(STRESS + timedelta(hours=2), 0.24, "buy")]
    world.add("binance__liquidations", orders, product="'um'")


def bybit_world(world):
    """One day of 4800 USD, 40 liquidated, and 80 BTC of open interest counted on both sides."""
    midnight = datetime(2025, 10, 10, tzinfo=UTC)
    linear = {"product": "'linear'"}
    world.add("bybit__klines", [bar("BTCUSDT", midnight, 48.0, 4800.0, interval_seconds=86400)], **linear)
    items = [{"event_time": at(STRESS), "side": "'buy'", "quantity": 0.4, "price": 100.0}]
    world.add("bybit__liquidations", [{**i, "date": DAY, "venue_symbol": "'BTCUSDT'"} for i in items], **linear)
    after = datetime(2025, 10, 11, 0, 0, tzinfo=UTC)
    interest = {"venue_symbol": "'BTCUSDT'", "period_seconds": 3600, "open_interest": 80.0, "observed_at": at(after)}
    world.add("bybit__open_interest", [{**interest, "date": after.date()}], **linear)


def operations_world(world):
    """A file and two records set aside, an hour that the archive lacks, and one that no collector heard."""
    received = {"ingested_at": at(datetime(2025, 10, 11, tzinfo=UTC)), "feed": "'binance'"}
    received_as = {**received, "source_class": "'measured'"}
    aside = {**received_as, "entity": "'klines'", "venue": "'binance'", "landing_path": "'page-1'", "date": DAY}
    reasons = [("no usable time", 3), ("no usable time", 5), ("cannot be read", None)]
    rows = [{**aside, "reason": f"'{reason}'", "record": record} for reason, record in reasons]
    world.add("quarantine", [{**row, "dataset": "binance__klines"} for row in rows])
    gap = {**received, "date": DAY, "gap_from_at": at(STRESS), "cause": "'archive has no file'"}
    until = at(STRESS + timedelta(hours=1))
    gap |= {"gap_to_at": until, "entity": "'klines'", "is_permanent": "true"}
    world.add("data_gap", [gap], venue="binance")
    silence = {**received, "date": DAY, "gap_from_at": at(STRESS), "gap_to_at": until, "cause": "'disconnected'"}
    world.add("collector_gap", [{**silence, "topic": "'!forceOrder@arr'"}], venue="binance")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, raw_world, build_warehouse):
    """Built from the two venues, an unattributed file, deleveraging without candles, and a venue that no seed knows."""
    work = tmp_path_factory.mktemp("small")
    world = raw_world(work / "raw")
    binance_world(world)
    bybit_world(world)
    operations_world(world)
    file_row = {"venue_symbol": "'BTC'", "base_asset": "'BTC'", "contract_type": "'linear'"}
    world.add(
        "files_liquidations",
        [
            {
                **file_row,
                "date": DAY,
                "event_at": "timestamptz '2025-10-10 00:00:00+00'",
                "period_seconds": 86400,
                "liquidated_side": "'long'",
                "notional_usd": 5000.0,
                "completeness": "'partial'",
            }
        ],
        venue="market",
    )
    world.add(
        "files_adl",
        [
            {
                "date": DAY,
                "venue_symbol": "'HYPE'",
                "base_asset": "'HYPE'",
                "event_at": "timestamptz '2025-10-10 21:16:04.831+00'",
                "haircut_usd": 7.5,
            }
        ],
        venue="hyperliquid",
    )
    day = datetime(2025, 10, 10, tzinfo=UTC)
    file_bar = bar("X", day, None, None)
    for name in ("volume", "turnover"):
        file_bar.pop(name)
    world.add(
        "files_klines",
        [
            {
                **file_bar,
                **file_row,
                "price_kind": "'last'",
                "interval_seconds": 86400,
                "base_quantity": 24.0,
                "source_class": "'estimated'",
            }
        ],
        venue="newdex",
    )
    return build_warehouse(world.root, work)


def test_shares_of_the_day(warehouse):
    """2400 on Binance, 4800 on Bybit, 24 x (110 + 90 + 100) / 3 = 2400 on the new venue: of 9600."""
    rows = warehouse.rows(
        "select * from marts.fct_exchange_share where period_type = 'day' and period_start = '2025-10-10' order by venue"
    )
    assert [(r["venue"], r["volume_usd"], r["share"], r["rank"]) for r in rows] == [
        ("binance", 2400.0, 0.25, 2),
        ("bybit", 4800.0, 0.5, 1),
        ("newdex", 2400.0, 0.25, 3),
    ]
    assert {(r["cr4"], r["hhi"]) for r in rows} == {(1.0, 0.375)}
    assert {r["source_class"] for r in rows} == {"estimated"}
    assert [r["volume_basis"] for r in rows] == ["quote_reported", "quote_reported", "derived_from_base"]


def test_overlapping_page_is_not_counted_twice(warehouse):
    row = warehouse.row(
        "select * from intermediate.int_volume__daily where venue = 'binance' and volume_date = '2025-10-10'"
    )
    assert (row["interval_seconds"], row["bars_covered"], row["volume_usd"]) == (3600, 24, 2400.0)


def test_tax_of_the_day(warehouse):
    """Binance 96 / 2400 = 400 bps, Bybit 40 / 4800 = 83.3 bps; together 136 / 7200, without the unattributed 5000."""
    query = "select * from marts.fct_liquidation_tax where tax_date = '2025-10-10' and tier = 'all'"
    tax = {row["venue"]: row for row in warehouse.rows(query)}
    assert set(tax) == {"binance", "bybit", "market"}
    assert tax["binance"]["tax_bps"] == pytest.approx(400, abs=1e-9)
    assert tax["binance"]["long_share"] == pytest.approx(0.75)
    assert tax["binance"]["completeness"] == "sampled"
    assert tax["bybit"]["tax_bps"] == pytest.approx(40 / 4800 * 1e4)
    assert tax["bybit"]["completeness"] == "complete"
    assert tax["market"]["liquidated_usd"] == pytest.approx(136)
    assert tax["market"]["volume_usd"] == pytest.approx(7200)
    assert tax["market"]["volume_venues"] == "binance,bybit"
    assert tax["market"]["completeness"] == "sampled"


def test_regime_against_twenty_quiet_days(warehouse):
    """Routine 10 bps with MAD 0: the floor of 5 % of it makes z = 390 / 0.5; the excess is 96 - 2.4 USD."""
    row = warehouse.row(
        "select * from marts.fct_liquidation_tax where tax_date = '2025-10-10' and venue = 'binance' and tier = 'major'"
    )
    assert row["routine_tax_bps"] == pytest.approx(10)
    assert row["mad_tax_bps"] == pytest.approx(0, abs=1e-9)
    assert row["baseline_days"] == 20
    assert row["robust_z"] == pytest.approx(780)
    assert row["regime"] == "stress"
    assert row["excess_usd"] == pytest.approx(93.6)


def test_no_regime_without_fourteen_days(warehouse):
    rows = warehouse.rows(
        "select * from marts.fct_liquidation_tax where venue = 'binance' and tier = 'all' order by tax_date"
    )
    assert [row["regime"] for row in rows] == [None] * 14 + ["routine"] * 6 + ["stress"]


def test_bybit_open_interest_is_halved_and_priced(warehouse):
    row = warehouse.row("select * from intermediate.int_open_interest__observed where venue = 'bybit'")
    assert (row["base_quantity"], row["notional_usd"], row["notional_basis"]) == (40.0, 4000.0, "last_close")


def test_event_bars(warehouse):
    """The 21:00 hour is `cascade`; the price before is the close of the 19:00 bar; messages ran from 21:15 to 23:15."""
    rows = {
        row["bar_start_at"].hour: row
        for row in warehouse.rows(
            "select * from marts.fct_event_window where venue = 'binance' and bar_start_at::date = '2025-10-10'"
        )
    }
    assert len(rows) == 24
    assert [rows[hour]["phase"] for hour in (19, 20, 21, 22, 23)] == [
        "baseline",
        "shock",
        "cascade",
        "aftershock",
        "recovery",
    ]
    assert rows[21]["pre_event_price"] == 100.0
    assert rows[21]["low_move_from_pre_event"] == -0.5
    assert rows[21]["liquidated_long_usd"] == pytest.approx(72)
    assert rows[22]["liquidated_long_usd"] == 0.0
    assert rows[20]["liquidated_long_usd"] is None
    assert rows[23]["liquidated_short_usd"] == pytest.approx(24)


def test_deleveraging_without_candles_keeps_its_minute(warehouse):
    row = warehouse.row("select * from marts.fct_event_window where venue = 'hyperliquid'")
    assert row["bar_start_at"] == datetime(2025, 10, 10, 21, 16, tzinfo=UTC)
    assert (row["interval_seconds"], row["phase"], row["adl_haircut_usd"], row["adl_usd"]) == (60, "cascade", 7.5, None)
    assert row["close_price"] is None


def test_what_is_missing_and_what_was_set_aside_is_published(warehouse):
    rows = warehouse.rows("select dataset, venue, date, reason, records from marts.quarantine_summary order by reason")
    assert [tuple(row.values()) for row in rows] == [
        ("binance__klines", "binance", DAY, "cannot be read", 1),
        ("binance__klines", "binance", DAY, "no usable time", 2),
    ]
    gap = warehouse.row("select * from marts.data_gap")
    assert (gap["feed"], gap["entity"], gap["gap_from_at"], gap["is_permanent"]) == ("binance", "klines", STRESS, True)
    assert gap["gap_to_at"] - gap["gap_from_at"] == timedelta(hours=1)
    assert warehouse.row("select * from marts.collector_gap")["topic"] == "!forceOrder@arr"


def test_venue_that_no_seed_knows_is_unlisted(warehouse):
    row = warehouse.row("select * from marts.dim_venue where venue = 'newdex'")
    assert (row["venue_type"], row["contracts_covered"], row["source_class"]) == ("unlisted", 1, "estimated")


def test_unknown_symbol_fails_and_does_not_vanish(tmp_path, raw_world, run_dbt):
    world = raw_world(tmp_path / "raw")
    item = {"event_time": at(STRESS), "side": "'buy'", "quantity": 1.0, "price": 1.0, "product": "'linear'"}
    world.add("bybit__liquidations", [{**item, "date": DAY, "venue_symbol": "'NOTLISTEDUSDT'"}])
    chosen = ("--select", "+stg_venues__liquidations", "--indirect-selection", "cautious")
    done = run_dbt(world.root, tmp_path, "build", "--no-use-colors", "--exclude-resource-type", "unit_test", *chosen)
    assert done.returncode != 0
    assert "FAIL 3 checks_stg_venues__liquidations" in done.stdout
    named = [line.split("  ")[-1] for line in done.stdout.splitlines() if "checks_stg_venues__liquidations: " in line]
    assert sorted(named) == [
        f"checks_stg_venues__liquidations: {column} is null (1)"
        for column in ("base_asset", "base_quantity", "contract_type")
    ]


def test_same_input_gives_the_same_bits(tmp_path, warehouse, build_warehouse):
    """Two more runs, with one thread and with two: the same hash over every mart."""
    raw = warehouse.path.parent / "raw"
    first = warehouse.mart_hashes()
    for threads in (1, 2):
        again = build_warehouse(raw, tmp_path / "again", threads=threads, skip=("test", "unit_test"))
        assert again.mart_hashes() == first


def test_synthetic_rows_never_match(tmp_path, raw_world, build_warehouse):
    """Candles that reproduce published prices exactly, but flagged synthetic: shown, not matched.

    What the publishers say of the year's high among themselves comes before any synthetic one.
    """
    world = raw_world(tmp_path / "raw")
    high = {
        **bar("BTCUSDT", datetime(2025, 10, 6, tzinfo=UTC), 1.0, 1.0, interval_seconds=86400),
        "high": 126000.0,
        "source_class": "'synthetic'",
    }
    world.add("bybit__klines", [high], product="'linear'")
    midnight = datetime(2025, 10, 10, tzinfo=UTC)
    hours = [
        {**bar("BTCUSDT", midnight + timedelta(hours=n), 1.0, 100.0, interval_seconds=3600), "high": 122600.0}
        for n in range(48)
    ]
    world.add("binance__klines", hours, product="'um'", source_class="'synthetic'")
    built = build_warehouse(world.root, tmp_path, skip=("test", "unit_test"))
    query = "select figure_id, status, computed_value from marts.fct_reconciliation where figure_id like 'btc_high%' "
    query += "or figure_id = 'btc_before_event'"
    assert {row["figure_id"]: (row["status"], row["computed_value"]) for row in built.rows(query)} == {
        "btc_before_event": ("not_computable", 122600.0),
        "btc_high_2025": ("conflict", 126273.0),
        "btc_high_2025_date": ("conflict", 279.0),
    }
