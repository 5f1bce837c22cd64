"""Auto-deleveraging, insurance funds and the liquidation map of a small world, whose numbers were worked out by hand."""

from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

pytestmark = pytest.mark.xdist_group("dbt_structure")

FIRST = datetime(2025, 10, 9, tzinfo=UTC)
EVENT_DAY = FIRST + timedelta(days=1)
END = FIRST + timedelta(days=4)
MARTS = ("fct_adl", "fct_insurance_fund", "fct_liquidation_map")
KEYS = "venue, venue_symbol, map_date"


def at(moment):
    return f"timestamptz '{moment.isoformat()}'"


def price(moment):
    """100 before the event's day, on it 120, 110 and 115 until the crash of 21:00, 100 again after it."""
    if moment < EVENT_DAY or moment >= EVENT_DAY.replace(hour=21):
        return 100.0
    return 120.0 if moment.hour < 4 else 110.0 if moment.hour < 8 else 115.0


def interest(moment):
    """1000 BTC, 1400 from 04:00, half of it from 12:00, 300 after the crash; nobody answered at 02:00."""
    if moment == EVENT_DAY.replace(hour=2):
        return None
    changes = [
        (EVENT_DAY.replace(hour=4), 1000.0),
        (EVENT_DAY.replace(hour=12), 1400.0),
        (EVENT_DAY.replace(hour=21), 700.0),
    ]
    return next((value for until, value in changes if moment < until), 300.0)


def bars(symbol, hours):
    return [
        {
            "date": hour.date(),
            "venue_symbol": f"'{symbol}'",
            "interval_seconds": 3600,
            "open_time": at(hour),
            "open": price(hour),
            "high": price(hour),
            "low": 50.0 if hour == EVENT_DAY.replace(hour=21) else price(hour),
            "close": price(hour),
            "volume": 1.0,
            "turnover": price(hour),
        }
        for hour in hours
    ]


def observation(symbol, moment, quantity):
    fields = {"observed_at": at(moment), "period_seconds": 0, "open_interest": quantity}
    return {"date": moment.date(), "venue_symbol": f"'{symbol}'", **fields}


def tier(symbol, since, rate, max_leverage, floor=0.0):
    fields = {
        "tier_number": 2 if floor else 1,
        "tier_floor": floor,
        "maintenance_rate": rate,
        "max_leverage": max_leverage,
    }
    return {"date": since.date(), "venue_symbol": f"'{symbol}'", "event_at": at(since), **fields}


def inverse_world(world):
    """Another venue's inverse contract, from files: a day at 100, and 1000 USD open."""
    own = {"date": FIRST.date(), "venue_symbol": "'BTCUSD'", "base_asset": "'BTC'"}
    kind = {"contract_type": "'inverse'"}
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    candle = {**own, **kind, **prices, "price_kind": "'last'", "interval_seconds": 86400, "open_time": at(FIRST)}
    world.add("files_klines", [candle], venue="newdex")
    known = {"event_at": at(EVENT_DAY), "notional_usd": 1000.0, "base_quantity": 10.0, "oi_sidedness": "'one'"}
    world.add("files_open_interest", [{**own, **kind, **known, "date": EVENT_DAY.date()}], venue="newdex")
    margin = {"event_at": at(FIRST), "tier_number": 1, "notional_floor_usd": 0.0, "notional_cap_usd": 1e9}
    margin |= {"maintenance_rate": 0.01, "maintenance_amount_usd": 0.0, "max_leverage": 10.0}
    world.add("files_leverage_tiers", [{**own, **margin}], venue="newdex")


def fund_world(world, until):
    moments = [(FIRST, 100.0), (EVENT_DAY.replace(hour=20), 120.0), (EVENT_DAY.replace(hour=22), 90.0)]
    moments.append((END - timedelta(hours=12), 150.0))
    rows = [
        {
            "date": moment.date(),
            "venue_symbol": "'shared'",
            "asset": "'USDT'",
            "event_at": at(moment),
            "balance": balance,
        }
        for moment, balance in moments
        if moment < until
    ]
    world.add("binance__insurance_funds", rows, product="'um'")


def adl_world(world):
    moment = datetime(2025, 10, 10, 21, 16, 4, tzinfo=UTC)
    fill = {
        "date": moment.date(),
        "venue_symbol": "'BTC'",
        "event_time": at(moment),
        "side": "'short'",
        "quantity": 2.0,
    }
    fill |= {"price": 100.0, "closed_pnl": 30.0, "account": "'0xa'"}
    fills = [
        {**fill, "event_key": "'1'"},
        {**fill, "event_key": "'2'", "event_time": at(moment + timedelta(seconds=50))},
    ]
    world.add("hyperliquid__adl_fills", fills, product="'perp'")
    told = {"date": moment.date(), "event_at": at(moment), "adl_usd": 400.0, "haircut_usd": 7.0, "deficit_usd": 5.0}
    clusters = [{**told, "venue_symbol": f"'{asset}'", "base_asset": f"'{asset}'"} for asset in ("BTC", "ETH")]
    world.add("files_adl", clusters, venue="hyperliquid")


def fill_world(world, until):
    """Everything that happened before ``until``."""
    hours = [FIRST + timedelta(hours=n) for n in range(96)]
    delisted = FIRST - timedelta(days=5)
    candles = [*bars("BTCUSDT", hours), *bars("ETHUSDT", hours), *bars("SOLUSDT", [delisted])]
    world.add("binance__klines", [b for b in candles if b["open_time"] < at(until)], product="'um'")
    times = [moment for moment in hours[1:] if moment < until]
    seen = [observation("BTCUSDT", moment, interest(moment)) for moment in times if interest(moment) is not None]
    seen += [observation("ETHUSDT", moment, 50.0) for moment in times]
    seen += [observation("XRPUSDT", moment, 50.0) for moment in times]
    seen.append(observation("SOLUSDT", delisted + timedelta(hours=1), 50.0))
    between = EVENT_DAY.replace(hour=20, minute=30)
    seen.append(observation("BTCUSDT", between, 777.0))
    world.add("binance__open_interest", seen, product="'um'")
    tiers = [
        tier("BTCUSDT", FIRST - timedelta(days=8), 0.02, 10.0),
        tier("BTCUSDT", EVENT_DAY.replace(hour=12), 0.01, 25.0),
        tier("BTCUSDT", EVENT_DAY.replace(hour=12), 0.02, 3.0, floor=250_000.0),
        tier("BTCUSDT", EVENT_DAY.replace(hour=21), 0.04, 5.0),
        tier("SOLUSDT", FIRST - timedelta(days=8), 0.02, 10.0),
        tier("XRPUSDT", FIRST - timedelta(days=8), 0.02, 10.0),
        tier("ETHUSDT", EVENT_DAY.replace(hour=22), 0.02, 10.0),
    ]
    tiers = [
        row for row in tiers if row["event_at"] < at(until) and (row["venue_symbol"] != "'ETHUSDT'" or until < END)
    ]
    world.add("binance__leverage_tiers", tiers, product="'um'")
    inverse_world(world)
    fund_world(world, until)
    adl_world(world)


class Marts:
    """The three marts of a world that ends at ``until``."""

    def __init__(self, path):
        self.path = path

    def rows(self, query):
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            cursor = connection.execute(query)
            names = [item[0] for item in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def build(tmp_path_factory, raw_world, run_dbt):
    def made(until):
        work = tmp_path_factory.mktemp("structure")
        world = raw_world(work / "raw")
        fill_world(world, until)
        chosen = ("--select", *(f"+{mart}" for mart in MARTS), "--indirect-selection", "cautious")
        done = run_dbt(world.root, work, "build", "--no-use-colors", "--exclude-resource-type", "unit_test", *chosen)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return Marts(work / "warehouse.duckdb")

    return made


@pytest.fixture(scope="module")
def marts(build):
    return build(END)


def levels(marts, side, leverage, venue="binance"):
    """Rows of the map before the event."""
    return marts.rows(
        f"select * from marts.fct_liquidation_map where venue = '{venue}' and map_date = date '2025-10-10' "
        f"and side = '{side}' and leverage = {leverage} order by price_bin"
    )


def test_maps_are_of_contracts_with_interest_price_and_margin_terms(marts):
    """Not of ETHUSDT (no tiers by then), XRPUSDT (no price) and SOLUSDT (delisted); newdex ends on the event's day."""
    rows = marts.rows(
        f"select {KEYS}, max(event_id) as event_id from marts.fct_liquidation_map group by all order by all"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("binance", "BTCUSDT", date(2025, 10, 10), "2025_10_10"),
        ("binance", "BTCUSDT", date(2025, 10, 12), None),
        ("newdex", "BTCUSD", date(2025, 10, 10), "2025_10_10"),
    ]


def test_levels_that_no_price_reached(marts):
    """500 BTC of 100 and 200 of 120 are left of 1400; 15 % are of leverage 2: a long falls at .5 / .99 of its entry."""
    first, second = levels(marts, "long", 2)
    assert first["liquidation_price"] == pytest.approx(100 * 0.5 / 0.99)
    assert second["liquidation_price"] == pytest.approx(120 * 0.5 / 0.99)
    assert [row["notional_usd"] for row in (first, second)] == pytest.approx([500 * 0.15 * 115, 200 * 0.15 * 115])
    assert [row["opening_usd"] for row in (first, second)] == pytest.approx([500 * 0.15 * 115, 0])
    assert first["reentered_usd"] == second["reentered_usd"] == 0
    assert [row["entry_price"] for row in (first, second)] == pytest.approx([100, 120])
    assert first["reference_price"] == 115
    assert first["move_to_liquidation"] == pytest.approx(100 * 0.5 / 0.99 / 115 - 1)


def test_levels_that_a_price_reached(marts):
    """Leverage 20: longs of 120 fell at 115.2 when 110 was traded, and shorts of 100 at 104 when 120 was: both came back."""
    stayed, back = levels(marts, "long", 20)
    assert (stayed["reentered_usd"], back["reentered_usd"]) == pytest.approx((0, 200 * 0.15 * 115))
    assert stayed["liquidation_price"] == pytest.approx(100 * 0.95 / 0.99)
    assert back["liquidation_price"] == pytest.approx(110 * 0.95 / 0.99)
    assert (stayed["entry_price"], back["entry_price"]) == pytest.approx((100, 110))
    (short,) = levels(marts, "short", 20)
    assert short["liquidation_price"] == pytest.approx(120 * 1.05 / 1.01)
    assert short["notional_usd"] == pytest.approx(700 * 0.15 * 115)
    assert short["reentered_usd"] == pytest.approx(500 * 0.15 * 115)
    assert short["opening_usd"] == 0


def test_margin_terms_are_those_of_the_moment(marts):
    """Before the event the terms of 12:00: rate .01 and leverage up to 25, which 50 and 100 become; after it others."""
    assert {row["maintenance_rate"] for row in levels(marts, "long", 25)} == {0.01}
    assert {row["leverage_share"] for row in levels(marts, "long", 25)} == {0.1}
    later = marts.rows(
        "select distinct leverage, leverage_share, maintenance_rate from marts.fct_liquidation_map "
        "where map_date = date '2025-10-12' order by 1"
    )
    assert [tuple(row.values()) for row in later] == pytest.approx([(2, 0.15, 0.04), (3, 0.15, 0.04), (5, 0.7, 0.04)])


def test_inverse_contract_has_its_own_formula(marts):
    """1000 USD at 100: leverage 10 and more, half of it, falls at 1.01 / 1.1 and .99 / .9 of the entry."""
    (long,), (short,) = levels(marts, "long", 10, venue="newdex"), levels(marts, "short", 10, venue="newdex")
    assert long["liquidation_price"] == pytest.approx(100 * 1.01 / 1.1)
    assert short["liquidation_price"] == pytest.approx(100 * 0.99 / 0.9)
    assert long["notional_usd"] == short["notional_usd"] == pytest.approx(500)
    assert long["open_interest_usd"] == 1000


def test_sides_are_the_open_interest(marts):
    rows = marts.rows(
        f"select {KEYS}, side, sum(notional_usd) as total, max(open_interest_usd) as open_interest_usd "
        "from marts.fct_liquidation_map group by all order by all"
    )
    assert [row["total"] for row in rows] == pytest.approx([row["open_interest_usd"] for row in rows])
    assert [row["open_interest_usd"] for row in rows] == pytest.approx([700 * 115] * 2 + [300 * 100] * 2 + [1000] * 2)
    wrong = "side = 'long' and liquidation_price >= reference_price or side = 'short' and liquidation_price <= reference_price"
    assert marts.rows(f"select * from marts.fct_liquidation_map where {wrong}") == []


def test_map_says_that_it_is_estimated(marts):
    (flags,) = marts.rows(
        "select distinct source_class, lookback_days, step_seconds, bin_width_bps from marts.fct_liquidation_map"
    )
    assert tuple(flags.values()) == ("estimated", 30, 14400, 50)


def test_fund_falls_from_its_peak_within_the_day(marts):
    rows = marts.rows("select * from marts.fct_insurance_fund order by fund_date")
    assert [row["fund_date"].day for row in rows] == [9, 10, 12]
    assert [row["balance_usd"] for row in rows] == [100, 90, 150]
    assert [row["peak_balance_usd"] for row in rows] == [100, 120, 150]
    assert [row["drawdown"] for row in rows] == [0, -0.25, 0]
    assert [row["change_usd"] for row in rows] == [None, -10, 60]
    assert rows[2]["previous_fund_date"] == EVENT_DAY.date()


def test_deleveraging_is_counted_once(marts):
    """Of BTC the fills are the notional, and the file adds its haircut; of ETH the file alone speaks."""
    btc, eth = marts.rows("select * from marts.fct_adl order by venue_symbol")
    assert (btc["adl_usd"], btc["reduced_short_usd"], btc["fill_count"], btc["account_count"]) == (400, 400, 2, 1)
    assert (btc["adl_haircut_usd"], btc["closed_pnl_usd"], btc["largest_deficit_usd"]) == (7, 60, 5)
    assert (eth["adl_usd"], eth["reduced_short_usd"], eth["fill_count"], eth["cluster_count"]) == (400, None, None, 1)


def test_what_comes_later_changes_nothing(build, marts):
    """The world ends a minute after the moment of the event's map, and later at midnight: the map and the funds are the same."""
    minute = build(EVENT_DAY.replace(hour=20, minute=51))
    midnight = build(EVENT_DAY + timedelta(days=1))
    maps = "select * from marts.fct_liquidation_map where map_date = date '2025-10-10' order by all"
    assert minute.rows(maps) == midnight.rows(maps) == marts.rows(maps) != []
    funds = "select * from marts.fct_insurance_fund where fund_date <= date '2025-10-10' order by all"
    assert midnight.rows(funds) == marts.rows(funds) != []
