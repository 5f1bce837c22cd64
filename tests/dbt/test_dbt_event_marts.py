"""The marts of events over a small world, with an event that a user added; all numbers were worked out by hand."""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from dagster_project import events
from dagster_project.lib.home import Home

pytestmark = pytest.mark.xdist_group("dbt_event")

SHOCK = datetime(2025, 3, 3, 10, 2, tzinfo=UTC)
END = datetime(2025, 3, 3, 11, 0, tzinfo=UTC)
LINEAR = {"binance": "'um'", "bybit": "'linear'"}
MARTS = ("fct_event_window", "fct_event_summary", "fct_event_synchrony")


def at(moment):
    return f"timestamptz '{moment.isoformat()}'"


def clock(text):
    hour, minute, *second = map(int, text.split(":"))
    return datetime(2025, 3, 3, hour, minute, *second, tzinfo=UTC)


def candle(start, seconds, low, close, turnover=1000.0, symbol="BTCUSDT"):
    prices = {"open": close, "high": max(close, 128.0), "low": low, "close": close}
    names = {"date": start.date(), "venue_symbol": f"'{symbol}'", "open_time": at(start), "interval_seconds": seconds}
    return {**names, **prices, "volume": turnover / close, "turnover": turnover}


def minutes(venue, start, end):
    """Flat at 128; Binance falls to 96 at 10:05 and is half back at 10:07, Bybit falls to 112 at 10:06."""
    bars = []
    while start < end:
        low = close = 128.0
        if venue == "binance" and start >= clock("10:05"):
            low, close = (96.0, 104.0) if start == clock("10:05") else (100.0, 104.0)
            if start >= clock("10:07"):
                low, close = (110.0, 112.0) if start < clock("10:59") else (110.0, 120.0)
        if venue == "bybit" and start >= clock("10:06"):
            low, close = (112.0 if start == clock("10:06") else 114.0), 116.0
        # Bybit traded a third of Binance's volume.
        bars.append(candle(start, 60, low, close, 300.0 if venue == "binance" else 100.0))
        start += timedelta(minutes=1)
    return bars


def index_minutes(start, end):
    """An index of 125 until the event, 128 in it: against 128 and then 104 the basis is 240 and -1875 basis points."""
    while start < end:
        price = 125.0 if start < clock("10:00") else 128.0
        names = {"date": start.date(), "venue_symbol": "'BTCUSDT'", "open_time": at(start), "interval_seconds": 60}
        yield {**names, "price_kind": "'index'", **dict.fromkeys(("open", "high", "low", "close"), price)}
        start += timedelta(minutes=1)


def settlement(moment, rate):
    names = {"date": moment.date(), "venue_symbol": "'BTCUSDT'"}
    return {**names, "funding_time": at(moment), "funding_rate": rate}


def order(moment, usd, side):
    names = {"date": moment.date(), "venue_symbol": "'BTCUSDT'", "event_time": at(moment), "side": f"'{side}'"}
    return {**names, "quantity": usd / 100, "price": 100.0}


def filled(rows):
    return [
        {**row, "order_status": "'FILLED'", "filled_quantity": row["quantity"], "average_price": row["price"]}
        for row in rows
    ]


def interest(moment, **value):
    names = {"date": moment.date(), "venue_symbol": "'BTCUSDT'", "period_seconds": 300, "observed_at": at(moment)}
    return {**names, **value}


def depth(moment, usd):
    names = {"date": moment.date(), "venue_symbol": "'BTCUSDT'", "base_asset": "'BTC'", "event_at": at(moment)}
    return [{**names, "side": f"'{side}'", "band_bps": 100.0, "depth_usd": usd / 2} for side in ("bid", "ask")]


def fill(world, home, *, with_future):
    """The world until the end of the window, and with what came after it."""
    first_day = datetime(2025, 1, 30, tzinfo=UTC)
    days = [first_day + timedelta(days=n) for n in range(32)]
    # DOGE trades most and ETH least: by the fixed list ETH is major and DOGE mid.
    traded = {"DOGEUSDT": 5000.0, "BTCUSDT": 1000.0, "ETHUSDT": 500.0}
    daily = [candle(day, 86400, 128.0, 128.0, usd, symbol) for day in days for symbol, usd in traded.items()]
    window = clock("9:58"), END
    eth = [candle(clock("10:00"), 60, 128.0, 128.0, 1e9, "ETHUSDT")]
    # Listed three minutes after the bars that the event is measured against.
    listed = [
        candle(clock("10:03") + timedelta(minutes=n), 60, 100.0 + n, 100.0 + n, 1.0, "SOLUSDT") for n in range(57)
    ]
    world.add("binance__klines", [*daily, *minutes("binance", *window), *eth, *listed], product=LINEAR["binance"])
    world.add("binance__reference_klines", list(index_minutes(*window)), product=LINEAR["binance"])
    eight_hours = timedelta(hours=8)
    settled = [(clock("8:00") - eight_hours * n, 1 / 1024) for n in range(10)] + [(clock("10:30"), -31 / 1024)]
    world.add("binance__funding", [settlement(*each) for each in settled], product=LINEAR["binance"])
    world.add(
        "bybit__klines", [candle(days[-1], 86400, 128.0, 128.0), *minutes("bybit", *window)], product=LINEAR["bybit"]
    )

    quiet = datetime(2025, 2, 26, 12, 0, 10, tzinfo=UTC)
    binance = [
        order(quiet, 50.0, "sell"),
        order(clock("10:05:03"), 100.0, "sell"),
        order(clock("10:05:30"), 200.0, "sell"),
    ]
    binance += [order(clock("10:06:10"), 100.0, "buy")]
    bybit = [order(quiet, 50.0, "buy"), order(clock("10:03:00"), 40.0, "buy"), order(clock("10:05:20"), 400.0, "buy")]
    bybit += [order(clock("10:30:00"), 10.0, "sell")]
    world.add("binance__liquidations", filled(binance), product=LINEAR["binance"])
    world.add("bybit__liquidations", bybit, product=LINEAR["bybit"])

    adl = {"date": SHOCK.date(), "venue_symbol": "'BTCUSDT'", "base_asset": "'BTC'"}
    world.add("files_adl", [{**adl, "event_at": at(clock("10:06:04")), "adl_usd": 50.0}], venue="binance")
    value = "open_interest_value"
    held = [interest(clock("9:55"), open_interest_base=8.0, **{value: 1000.0})]
    held += [interest(clock("10:06"), open_interest_base=6.0, **{value: 600.0})]
    world.add("binance__open_interest", held, product=LINEAR["binance"])
    # Both sides are counted: 20 are 10 BTC of 128, and 16 are 8 of 128, the close of 10:05.
    held = [interest(clock("9:55"), open_interest=20.0), interest(clock("10:06"), open_interest=16.0)]
    world.add("bybit__open_interest", held, product=LINEAR["bybit"])
    world.add("files_depth", [*depth(clock("9:58:30"), 10.0), *depth(clock("10:06:30"), 1.0)], venue="binance")

    if with_future:
        world.add("binance__funding", [settlement(END, 1.0)], product=LINEAR["binance"])
        later = [candle(END + timedelta(minutes=n), 60, 1.0, 1.0) for n in range(30)]
        tomorrow = datetime(2025, 3, 4, tzinfo=UTC)
        later += [candle(tomorrow, 86400, 1.0, 2.0, 1e12, "ETHUSDT")]
        world.add("binance__klines", later, product=LINEAR["binance"])
        world.add(
            "binance__liquidations", filled([order(END, 9e6, "sell"), order(tomorrow, 9e6, "sell")]), product="'um'"
        )
        world.add("binance__open_interest", [interest(END + timedelta(minutes=5), **{value: 1.0})], product="'um'")
        world.add("files_adl", [{**adl, "event_at": at(END), "adl_usd": 5e6}], venue="binance")
        world.add("files_depth", depth(END + timedelta(minutes=1), 0.5), venue="binance")

    bounds = {"pre_event_at": clock("10:00"), "window_start_at": clock("9:58"), "cascade_at": clock("10:05")}
    bounds |= {"shock_at": SHOCK, "aftershock_at": clock("10:10"), "recovery_at": clock("10:20"), "window_end_at": END}
    events.add(home, events.plan("fall", "A fall", bounds, "desk"))


@pytest.fixture(scope="module")
def build(tmp_path_factory, raw_world, run_dbt):
    """Build the event marts and all that they read; a reader of their rows."""

    def made(*, with_future):
        work = tmp_path_factory.mktemp("event")
        world = raw_world(work / "raw")
        fill(world, Home(work), with_future=with_future)
        options = ("--exclude-resource-type", "test", "unit_test", "--select", "+path:models/marts/event")
        done = run_dbt(world.root, work, "build", "--no-use-colors", *options)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

        def rows(query):
            with duckdb.connect(str(work / "warehouse.duckdb"), read_only=True) as connection:
                connection.execute("set TimeZone = 'UTC'")
                cursor = connection.execute(query)
                names = [item[0] for item in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return rows

    return made


@pytest.fixture(scope="module")
def rows(build):
    """Rows of the world that ends with the window."""
    return build(with_future=False)


def summary(rows, where):
    (row,) = rows(f"select * from marts.fct_event_summary where event_id = 'fall' and {where}")
    return row


def test_users_event_is_a_dimension_with_its_sources(rows):
    (row,) = rows("select * from marts.dim_event where is_user_defined")
    assert (row["event_id"], row["shock_at"], row["shock_source"]) == ("fall", SHOCK, "desk")
    assert (row["source_class"], row["completeness"]) == ("estimated", "complete")


def test_tier_is_that_of_the_day_before(rows):
    """ETH is third of the days until 1 March, hence mid on 2 March; a billion on the day itself changes nothing."""
    found = rows("select distinct base_asset, tier, tier_basis from marts.fct_event_window order by 1")
    assert [tuple(row.values()) for row in found] == [
        ("BTC", "major", "trailing_volume"),
        ("ETH", "mid", "trailing_volume"),
        ("SOL", "mid", "fixed_list"),
    ]


def test_contract_of_binance(rows):
    row = summary(rows, "scope = 'contract' and venue = 'binance' and venue_symbol = 'BTCUSDT'")
    assert (row["pre_event_price"], row["trough_price"], row["trough_at"]) == (128.0, 96.0, clock("10:05"))
    assert (row["drawdown"], row["time_to_trough_seconds"]) == (-0.25, 180.0)
    # 120 is 24 of 32 back; 112, half, was closed at in the bar of 10:07.
    assert (row["recovery_share"], row["time_to_half_recovery_seconds"]) == (0.75, 120.0)
    assert (row["pre_event_open_interest_usd"], row["open_interest_trough_usd"]) == (1000.0, 600.0)
    assert row["open_interest_wiped_share"] == pytest.approx(0.4)
    assert (row["liquidated_long_usd"], row["liquidated_short_usd"], row["long_share"]) == (300.0, 100.0, 0.75)
    assert (row["peak_bar_at"], row["peak_liquidated_share"]) == (clock("10:05"), 0.75)
    assert (row["adl_usd"], row["adl_haircut_usd"], row["liquidation_to_adl_seconds"]) == (50.0, None, 61.0)
    assert (row["depth_before_usd"], row["depth_trough_usd"], row["depth_collapse"]) == (10.0, 1.0, 0.9)
    assert (row["bars_covered"], row["interval_seconds"], row["completeness"]) == (58, 60, "sampled")
    # The basis falls from 240 to -1875; the rate from 1 to -31 of 1024, 1095 times a year.
    assert (row["basis_before_bps"], row["basis_extreme_bps"]) == (pytest.approx(240.0), pytest.approx(-1875.0))
    assert row["basis_dislocation_bps"] == pytest.approx(-2115.0)
    assert (row["funding_rate_before"], row["funding_rate_extreme"]) == (1 / 1024, -31 / 1024)
    assert row["funding_rate_dislocation"] == -32 / 1024
    assert row["funding_rate_dislocation_annualised"] == pytest.approx(-32 / 1024 * 1095)


def test_contract_listed_inside_the_window(rows):
    """Its first bar begins after the event was announced: it has prices and a trough, and nothing to measure them by."""
    row = summary(rows, "scope = 'contract' and venue_symbol = 'SOLUSDT'")
    assert (row["trough_price"], row["trough_at"], row["bars_covered"]) == (100.0, clock("10:03"), 57)
    assert row["completeness"] == "partial"
    unknown = ["pre_event_price", "drawdown", "time_to_trough_seconds", "recovery_share", "pre_event_open_interest_usd"]
    unknown += ["funding_rate_before", "basis_before_bps", "basis_dislocation_bps", "depth_collapse"]
    assert [row[name] for name in unknown] == [None] * len(unknown)
    moves = rows(
        "select count(*) as bars, count(move_from_pre_event) as moves, min(bar_start_at) as first_at "
        "from marts.fct_event_window where venue_symbol = 'SOLUSDT'"
    )
    assert moves == [{"bars": 57, "moves": 0, "first_at": clock("10:03")}]
    # In the roll-ups it counts as a contract, and its volume weighs nothing.
    tier = summary(rows, "scope = 'tier' and tier = 'mid'")
    assert (tier["contracts_covered"], tier["median_drawdown"], tier["volume_weighted_drawdown"]) == (2, None, None)


def test_market_is_the_sum_of_what_was_at_one_time(rows):
    """Open interest 1000 + 10 x 128 before and 600 + 8 x 128 at 10:06; BTC falls by 25 and 12.5 %, ETH not at all."""
    row = summary(rows, "scope = 'market'")
    assert (row["venue"], row["venue_symbol"], row["tier"], row["contracts_covered"]) == ("market", "all", "all", 4)
    assert (row["pre_event_open_interest_usd"], row["open_interest_trough_usd"]) == (2280.0, 1624.0)
    assert (row["liquidated_long_usd"], row["liquidated_short_usd"]) == (740.0, 110.0)
    assert (row["peak_bar_at"], row["peak_liquidated_usd"]) == (clock("10:05"), 700.0)
    assert row["drawdown"] is None
    assert (row["funding_rate_dislocation"], row["basis_dislocation_bps"]) == (None, None)
    # Bybit has no index: the median is of Binance alone.
    assert row["median_basis_dislocation_bps"] == pytest.approx(-2115.0)
    assert row["median_funding_rate_dislocation_annualised"] == pytest.approx(-32 / 1024 * 1095)
    major = summary(rows, "scope = 'tier' and tier = 'major'")
    assert major["median_drawdown"] == -0.1875
    assert major["volume_weighted_drawdown"] == pytest.approx((-0.25 * 300 - 0.125 * 100) / 400)
    # Bybit ends at 116: 4 of 16 back, and never half.
    assert (major["median_recovery_share"], major["half_recovered_share"]) == (0.5, 0.5)


def test_synchrony_counts_venues_above_their_own_past(rows):
    """One liquidation in the days before: the percentile is a bar without any, and each liquidation exceeds it."""
    found = rows("select * from marts.fct_event_synchrony where event_id = 'fall' order by bar_start_at")
    by_minute = {row["bar_start_at"]: row for row in found}
    assert min(by_minute) == clock("9:58")
    assert by_minute[clock("10:05")]["exceeding_venues"] == "binance,bybit"
    assert by_minute[clock("10:05")]["exceeding_share"] == 1.0
    assert (by_minute[clock("10:03")]["venues_exceeding"], by_minute[clock("10:03")]["exceeding_share"]) == (1, 0.5)
    assert by_minute[clock("10:04")]["venues_exceeding"] == 0
    # Binance's last message was at 10:06, Bybit's at 10:30: after it nobody is known.
    assert (by_minute[clock("10:07")]["venues_covered"], by_minute[clock("10:07")]["exceeding_share"]) == (1, None)
    assert max(by_minute) == clock("10:30")


def test_nothing_known_is_null_and_no_event_without_data_has_rows(rows):
    row = summary(rows, "venue_symbol = 'ETHUSDT'")
    # Its only bar ended before the shock, so there is a price before and no trough.
    assert (row["bars_covered"], row["contracts_covered"]) == (0, 1)
    unknown = ("trough_price", "drawdown", "liquidated_usd", "long_share", "adl_usd", "open_interest_trough_usd")
    assert [row[name] for name in (*unknown, "depth_collapse", "peak_bar_at", "volume_usd")] == [None] * 9
    assert rows("select distinct event_id from marts.fct_event_window") == [{"event_id": "fall"}]


def test_what_comes_after_the_window_changes_no_row(rows, build):
    later = build(with_future=True)
    for mart in MARTS:
        query = f"select * from marts.{mart} where event_id = 'fall' order by all"
        assert later(query) == rows(query), mart
        assert rows(query), mart
