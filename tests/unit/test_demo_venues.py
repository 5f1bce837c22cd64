"""The sample as the venues' readers see it: landed, made into raw, and compared with the market that it was written from.

What a number counts is written down here anew from the venues' documentation; the market's tables know no files.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pytest
from demo_made import shared_sample

from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.raw import RawStore
from dagster_project.sources.dataset import Intake, build_raw
from dagster_project.sources.demo import landing as demo_landing
from dagster_project.sources.demo.landing import SAMPLED, land_sample
from dagster_project.sources.demo.market import build_market
from dagster_project.sources.demo.universe import load_universe
from dagster_project.sources.files import DATASETS
from dagster_project.sources.registry import FEEDS
from schemas.raw import ENTITIES

pytestmark = pytest.mark.xdist_group("demo_sample")

SEED = 20251010
VENUES = ("binance", "bybit", "okx", "bitget", "hyperliquid")
AGGREGATORS = ("coinglass", "coinalyze", "defillama", "tardis")
EVENT = (date(2025, 10, 10), date(2025, 10, 12))
YEAR_END = (date(2025, 12, 29), date(2025, 12, 31))
FOCUS = ("BTC", "ETH", "SOL", "PEPE")


@dataclass(frozen=True)
class Built:
    """A home with the sample's raw data of some days, and what reading came to."""

    home: Home
    intakes: dict[tuple[str, str], Intake]
    con: duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The shared sample landed and read: the two days of all feeds and files, and the year's end for Bitget's liquidations."""
    sample = shared_sample(tmp_path_factory)
    home = Home(tmp_path_factory.mktemp("demo_venues") / "home")
    home.prepare()
    RawStore(home.raw, home.scratch).prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_landing, "generate_sample", lambda out: shutil.copytree(sample, out))
        land_sample(home)
    intakes = {key: build_raw(FEEDS[key].dataset, home, *EVENT) for key in sorted(SAMPLED)}
    build_raw(FEEDS["bitget", "liquidations"].dataset, home, *YEAR_END)
    for dataset in DATASETS:
        build_raw(dataset, home, *EVENT)
        if dataset.name == "files_liquidations":
            build_raw(dataset, home, *YEAR_END)
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute("set timezone = 'UTC'")
        load_universe(con)
        build_market(con, SEED)
        for entity in ENTITIES:
            con.execute(
                f"create view raw_{entity} as select * from read_parquet('{home.raw}/*__{entity}/*/*/*.parquet', "
                "hive_partitioning = true, hive_types = {'venue': varchar, 'date': date})"
            )
        for dataset in DATASETS:
            con.execute(
                f"create view {dataset.name} as select * from read_parquet('{home.raw}/{dataset.name}/*/*/*.parquet', "
                "hive_partitioning = true, hive_types = {'venue': varchar, 'date': date})"
            )
        _count(con)
        yield Built(home, intakes, con)


def _count(con: duckdb.DuckDBPyConnection) -> None:
    """``own``: what a unit of a venue's contract is: base units of a quantity (linear) or USD of a contract (inverse)."""
    con.execute("""
        create table own(feed varchar, product varchar, venue_symbol varchar, base_asset varchar, scale double,
            worth double, dollars double);
        insert into own
            select venue, 'um', case base_asset when 'PEPE' then '1000PEPEUSDT' else base_asset || 'USDT' end, base_asset,
                case base_asset when 'PEPE' then 1000 else 1 end, 1, null from instrument where venue = 'binance'
            union all
            select venue, 'linear', case base_asset when 'PEPE' then '1000PEPEUSDT' else base_asset || 'USDT' end,
                base_asset, case base_asset when 'PEPE' then 1000 else 1 end, 1, null
                from instrument where venue = 'bybit'
            union all
            select venue, 'usdt_futures', base_asset || 'USDT', base_asset, 1, 1, null
                from instrument where venue = 'bitget'
            union all
            select venue, 'perp', case base_asset when 'PEPE' then 'kPEPE' else base_asset end, base_asset,
                case base_asset when 'PEPE' then 1000 else 1 end, 1, null from instrument where venue = 'hyperliquid'
            union all
            select * from (values ('okx', 'swap', 'BTC-USDT-SWAP', 'BTC', 1, 0.01, null),
                ('okx', 'swap', 'ETH-USDT-SWAP', 'ETH', 1, 0.1, null),
                ('okx', 'swap', 'SOL-USDT-SWAP', 'SOL', 1, 1, null),
                ('okx', 'swap', 'PEPE-USDT-SWAP', 'PEPE', 1, 10000000, null),
                ('binance', 'cm', 'BTCUSD_PERP', 'BTC', null, null, 100),
                ('binance', 'cm', 'ETHUSD_PERP', 'ETH', null, null, 10),
                ('bybit', 'inverse', 'BTCUSD', 'BTC', null, null, 1),
                ('bybit', 'inverse', 'ETHUSD', 'ETH', null, null, 1)) v;
        -- Base units of a unit in the market's own tables.
        create table listed as
            select venue_id, coin_id, venue, base_asset,
                case when base_asset = 'PEPE' and venue in ('binance', 'bybit') then 1000 else 1 end as unit from instrument;
    """)


def rows(built: Built, query: str) -> list[tuple[Any, ...]]:
    """What ``query`` gives."""
    return built.con.execute(query).fetchall()


def one(built: Built, query: str) -> float:
    """The single number that ``query`` gives."""
    row = built.con.execute(query).fetchone()
    assert row is not None
    return float(row[0])


def test_every_entity_has_rows_and_every_venue_all_that_it_offers(built: Built) -> None:
    """No staging model of the demo stays empty, and no reader of the five venues unused."""
    assert {entity for _, entity in SAMPLED} == set(ENTITIES)
    offered = {key for key in FEEDS if key[0] in VENUES}
    assert {key for key in SAMPLED if key[0] in VENUES} == offered
    assert {feed for feed, _ in SAMPLED} == {*VENUES, *AGGREGATORS}
    kept = {key: sum(count.rows for count in intake.counts) for key, intake in built.intakes.items()}
    kept["bitget", "liquidations"] = int(one(built, "select count(*) from raw_liquidations where feed = 'bitget'"))
    assert min(kept.values()) > 0, [key for key, count in kept.items() if count == 0]


def test_every_file_lands_once_for_each_of_its_readers(built: Built, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No file is left behind, and none takes the place of another."""
    sample = shared_sample(tmp_path_factory)
    landed = Landing(built.home.landing).all_files()
    assert [entry.path for entry in landed if entry.superseded_by] == []
    origins = {entry.origin.removeprefix("sample:") for entry in landed}
    made = {
        path.relative_to(sample).as_posix()
        for path in sample.rglob("*")
        if path.is_file() and path.suffix not in {".CHECKSUM", ".yaml"}
    }
    assert made <= origins
    assert {entry.source_class for entry in landed} == {"synthetic"}
    assert {entry.task for entry in landed} == {None}


def test_rows_say_that_they_are_synthetic(built: Built) -> None:
    for entity in ENTITIES:
        assert rows(built, f"select distinct source_class from raw_{entity}") == [("synthetic",)], entity


def test_only_the_two_faulty_copies_are_in_quarantine(built: Built) -> None:
    """A page cut short, and a bar whose high lies under its low; both of rows that stand elsewhere."""
    assert {key: intake.quarantined for key, intake in built.intakes.items() if intake.quarantined} == {
        ("bybit", "klines"): 2
    }
    found = rows(
        built,
        f"""select split_part(landing_path, '/', -1), record, reason
            from read_parquet('{built.home.raw}/quarantine/*/*/*.parquet', union_by_name = true) order by 1""",
    )
    assert [(name, record) for name, record, _ in found] == [
        ("faulty-ETHUSDT-D-cut.json", None),
        ("faulty-ETHUSDT-D-swapped.json", 1),
    ]
    (day,) = rows(
        built,
        """select high, low from raw_klines where feed = 'bybit' and venue_symbol = 'ETHUSDT' and date = '2025-10-10'
            and interval_seconds = 86400""",
    )
    assert day[0] > day[1], "the bar itself stands in the whole page"


def test_the_bar_that_is_still_open_is_left_out(built: Built) -> None:
    """OKX's newest bar has confirm 0: four contracts, one each."""
    assert built.intakes["okx", "klines"].excluded == 4
    assert one(built, "select count(*) from raw_klines where feed = 'okx' and date > '2025-10-11'") == 0


def test_every_row_of_the_coin_margined_archive_is_there_twice(built: Built) -> None:
    """binance-public-data issue 259: raw keeps both, with one key."""
    counts = rows(
        built,
        "select count(*), count(distinct event_key) from raw_liquidations where feed = 'binance' and product = 'cm'",
    )
    assert counts[0][0] == 2 * int(counts[0][1]) > 0


@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_contracts_of_a_coin_trade_together_what_the_market_traded(built: Built, venue: str) -> None:
    """Linear turnover in USDT and whole inverse contracts in USD add up to the cent, coin by coin and minute by minute."""
    different = rows(
        built,
        f"""
        with contract as (
            select base_asset, open_time, case when dollars is null then turnover
                else volume * dollars end as usd
            from (select distinct feed, product, venue_symbol, open_time, volume, turnover from raw_klines
                where feed = '{venue}' and interval_seconds = 60) join own using (feed, product, venue_symbol)
        ),
        found as (select base_asset, open_time, sum(usd::decimal(18, 2)) as usd from contract group by all),
        market as (
            select base_asset, timezone('UTC', minute_at(t)) as open_time, quote::decimal(18, 2) as usd
            from candle_minute join listed using (venue_id, coin_id) where venue = '{venue}'
        )
        select * from found full join market using (base_asset, open_time)
        where found.usd is distinct from market.usd""",
    )
    assert different == []
    inverse = (
        f"""select count(*) from raw_klines where feed = '{venue}' and product in ('cm', 'inverse') and volume > 0"""
    )
    assert one(built, inverse) > 2 * 2000


def test_inverse_bars_count_contracts_and_coins(built: Built) -> None:
    """A contract's dollars over the coins of the turnover is a price within the bar, to the last of eight digits of the coins."""
    assert (
        one(
            built,
            """select count(*) from raw_klines join own using (feed, product, venue_symbol)
            where dollars is not null and volume > 0
            and not (volume * dollars / (turnover + 5e-9) <= high and volume * dollars / (turnover - 5e-9) >= low)""",
        )
        == 0
    )
    volume = rows(built, "select distinct volume = floor(volume) from raw_klines where product in ('cm', 'inverse')")
    assert volume == [(True,)]


@pytest.mark.parametrize("venue", ["okx", "bitget", "hyperliquid"])
def test_hours_of_the_venue_add_up_to_the_declared_day(built: Built, venue: str) -> None:
    """Base and quote volume exactly as printed; open, high, low and close those of the day; OKX's contracts too."""
    different = rows(
        built,
        f"""
        with hour as (
            select k.*, o.base_asset, scale, worth, case feed when 'okx' then base_volume else volume * scale end as base
            from raw_klines k join own o using (feed, product, venue_symbol)
            where feed = '{venue}' and interval_seconds = 3600
        ),
        day as (
            select base_asset, date, arg_min(open, open_time) / any_value(scale) as open, max(high) / any_value(scale) as high,
                min(low) / any_value(scale) as low, arg_max(close, open_time) / any_value(scale) as close,
                sum(base::decimal(28, 4))::double as base, sum(turnover::decimal(18, 2)) as quote, count(*) as hours,
                sum(volume::decimal(28, 8))::double * any_value(worth * scale) as counted
            from hour group by all
        )
        select d.*, f.* from day d
        full join (from files_klines where venue = '{venue}' and interval_seconds = 86400 and base_asset in {FOCUS}
            and date <= '2025-10-11' and price_kind = 'last') f on f.base_asset = d.base_asset and f.date = d.date
        where not coalesce(hours = 24
            and abs(d.open / f.open - 1) < 1e-12 and abs(d.high / f.high - 1) < 1e-12
            and abs(d.low / f.low - 1) < 1e-12 and abs(d.close / f.close - 1) < 1e-12
            and abs(d.base / f.base_quantity - 1) < 1e-12 and abs(counted / f.base_quantity - 1) < 1e-12
            and (d.quote = f.notional_usd::decimal(18, 2) or '{venue}' = 'hyperliquid'), false)""",
    )
    assert different == []
    assert one(built, f"select count(distinct venue_symbol) from raw_klines where feed = '{venue}'") == 4


def test_liquidations_of_a_venue_and_day_are_those_of_the_market_whatever_file_tells_them(built: Built) -> None:
    """Own and declared ones together, by venue, day and side: within half of the last printed digit of each quantity."""
    found = rows(
        built,
        """
        with digit as (
            select feed, product, venue_symbol, case when dollars is not null then 0
                when feed <> 'okx' then 6
                -- A contract's last digit is that of the bars' base quantity.
                when base_asset = 'BTC' then 2 when base_asset = 'PEPE' then 7 else 3 end as places
            from own
        ),
        own_event as (
            select distinct l.venue, l.date, feed, product, event_time, side, venue_symbol, event_key,
                coalesce(filled_quantity, quantity) as quantity, coalesce(nullif(average_price, 0), price) as price
            from raw_liquidations l where l.feed = l.venue
        ),
        told as (
            select venue, date, case side when 'long' then 'long' when 'short' then 'short'
                    else case when (side = 'sell') = (feed = 'binance') then 'long' else 'short' end end as position,
                case when dollars is null then quantity * worth * price else quantity * dollars end as usd,
                case when dollars is null then worth * price * power(10.0, -places) / 2 else 0 end as slack
            from own_event join own using (feed, product, venue_symbol) join digit using (feed, product, venue_symbol)
            union all
            select venue, date, liquidated_side, notional_usd, 0.0001 from files_liquidations
        ),
        found as (select venue, date, position, sum(usd) as usd, sum(slack) as slack from told group by all),
        market as (
            select venue, day_at(k)::date as date, case side when 0 then 'long' else 'short' end as position, sum(usd) as usd
            from liquidation join listed using (venue_id, coin_id)
            where k in (282, 283, 362, 363, 364) group by all
        )
        select coalesce(f.venue, m.venue), coalesce(f.date, m.date), coalesce(f.position, m.position), f.usd, m.usd, slack
        from found f full join market m on m.venue = f.venue and m.date = f.date and m.position = f.position
        -- At the year's end only declared files and Bitget's answers were made into raw here.
        where coalesce(f.date, m.date) between '2025-10-10' and '2025-10-11'
            or coalesce(f.date, m.date) >= '2025-12-29' and coalesce(f.venue, m.venue) not in ('binance', 'bybit')
        order by all""",
    )
    wrong = [row for row in found if row[3] is None or row[4] is None or abs(row[3] - row[4]) > row[5] + 1e-9 * row[4]]
    assert wrong == []
    assert {str(row[0]) for row in found} >= {*VENUES, "gate", "htx"}
    assert len(found) == 10 * 2 * 2 + 8 * 3 * 2


def test_no_liquidation_is_told_by_two_files(built: Built) -> None:
    """Where a venue's own messages of a coin and day are landed, the declared file is silent."""
    twice = rows(
        built,
        """select distinct f.venue, f.base_asset, f.date from files_liquidations f
        join own using (base_asset) join raw_liquidations l
            on l.feed = own.feed and l.venue_symbol = own.venue_symbol and l.venue = f.venue and l.date = f.date""",
    )
    assert twice == []
    told = rows(
        built,
        """select l.feed, count(distinct base_asset), count(distinct date) from raw_liquidations l
        join own using (feed, product, venue_symbol) where l.feed in ('okx', 'bitget', 'hyperliquid') group by 1 order by 1""",
    )
    assert told == [("bitget", 4, 3), ("hyperliquid", 4, 2), ("okx", 4, 2)]


def test_auto_deleveraging_is_told_by_fills_or_declared_and_never_by_both(built: Built) -> None:
    """By coin, within half of the last printed digit of each fill; haircuts of all coins stay declared."""
    found = rows(
        built,
        """
        with told as (
            select base_asset, quantity * price as usd, price * 5e-7 as slack, side
            from raw_adl_fills join own using (feed, product, venue_symbol)
            union all
            select base_asset, adl_usd, 0.005, null from files_adl where adl_usd is not null
        ),
        found as (select base_asset, sum(usd) as usd, sum(slack) as slack from told group by 1),
        market as (select base_asset, sum(usd) as usd from adl join coin using (coin_id) group by 1)
        select base_asset, found.usd, market.usd, slack from found full join market using (base_asset)""",
    )
    assert len(found) == 40
    assert [row for row in found if not abs(row[1] - row[2]) <= row[3] + 1e-9 * row[2]] == []
    assert rows(built, "select distinct side from raw_adl_fills") == [("short",)], "the winners of a fall"
    declared = """select count(distinct base_asset), count(*) > count(adl_usd), count(*) = count(haircut_usd)
        from files_adl"""
    assert rows(built, declared) == [(40, True, True)]


@pytest.mark.parametrize(("venue", "both_sides"), [("binance", 1), ("bybit", 2)])
def test_open_interest_of_a_coin_is_that_of_the_market(built: Built, venue: str, both_sides: int) -> None:
    """Linear quantities and inverse dollars at every five minutes: within one last digit of the linear contract's quantity."""
    found = rows(
        built,
        f"""
        with level as (
            select distinct base_asset, venue_symbol, open_interest / {both_sides} as quantity, dollars, scale,
                -- A label of COIN-M is the start of its period.
                observed_at + case product when 'cm' then interval 5 minute else interval 0 minute end as seen_at
            from raw_open_interest join own using (feed, product, venue_symbol)
            where feed = '{venue}' and period_seconds = 300
        ),
        market as (
            select base_asset, timezone('UTC', minute_at(t)) as seen_at, usd, m.o / unit as price, m.o as own_price,
                power(10.0, -quantity_decimals) as digit
            from oi join listed using (venue_id, coin_id) join instrument using (venue_id, coin_id, venue, base_asset)
            join minute m on m.venue_id = oi.venue_id and m.coin_id = oi.coin_id and m.t = minute_of_year - 282 * 1440
            where venue = '{venue}'
        ),
        found as (
            select base_asset, seen_at, sum(case when dollars is null then quantity * scale * price else quantity * dollars end)
                as usd from level join market using (base_asset, seen_at) group by all
        )
        select base_asset, seen_at, found.usd, market.usd, own_price * digit
        from market left join found using (base_asset, seen_at)
        where not coalesce(abs(found.usd - market.usd) <= own_price * digit + 1e-9 * market.usd, false)""",
    )
    assert found == []
    inverse = f"""select count(distinct observed_at), count(*) from raw_open_interest
        where feed = '{venue}' and product in ('cm', 'inverse')"""
    assert rows(built, inverse) == [(575, 1150)], "all stamps but the first midnight"


@pytest.mark.parametrize(("venue", "stamps"), [("okx", 48), ("bitget", 1), ("hyperliquid", 48)])
def test_own_open_interest_repeats_the_declared_one(built: Built, venue: str, stamps: int) -> None:
    found = rows(
        built,
        f"""select count(*), bool_and(abs(coalesce(open_interest_base, open_interest * worth * scale)
                / f.base_quantity - 1) < 1e-9), bool_and(abs(open_interest * worth * scale / f.base_quantity - 1) < 1e-9)
        from raw_open_interest l join own o using (feed, product, venue_symbol)
        left join files_open_interest f on f.venue = l.venue and f.base_asset = o.base_asset
            and f.event_at = l.observed_at where feed = '{venue}'""",
    )
    assert found == [(4 * stamps, True, True)]


@pytest.mark.parametrize(("venue", "count"), [("okx", 6), ("bitget", 6), ("hyperliquid", 48)])
def test_own_funding_repeats_the_declared_one(built: Built, venue: str, count: int) -> None:
    """Within the same second: Hyperliquid stamps some milliseconds late."""
    found = rows(
        built,
        f"""select count(*), count(f.venue), bool_and(l.funding_rate = f.funding_rate)
        from raw_funding l join own o using (feed, product, venue_symbol)
        left join files_funding f on f.venue = l.venue and f.base_asset = o.base_asset
            and f.event_at = date_trunc('second', l.funding_time) where feed = '{venue}'""",
    )
    assert found == [(4 * count, 4 * count, True)]


@pytest.mark.parametrize("venue", ["bybit", "okx", "bitget", "hyperliquid"])
def test_own_books_have_the_depth_of_the_market(built: Built, venue: str) -> None:
    """Within 1 and 2 % of mid at 20:50, to half of a last digit for each of six levels; further bands are floors."""
    found = rows(
        built,
        f"""select base_asset, percentage, notional * worth, usd, 6 * mid * power(10.0, -quantity_decimals) / 2
        from raw_depth l join own o using (feed, product, venue_symbol)
        join listed using (base_asset) join depth d using (venue_id, coin_id) join instrument using (venue_id, coin_id)
        where l.feed = '{venue}' and listed.venue = '{venue}' and t = 1250 and band = abs(percentage)
            and side = case when percentage < 0 then 'bid' else 'ask' end and band <= 2""",
    )
    assert len(found) == 4 * 2 * 2
    assert [row for row in found if abs(row[2] - row[3]) > row[4]] == []
    floors = f"select distinct abs(percentage) > 2, is_floor from raw_depth where feed = '{venue}' order by 1"
    assert rows(built, floors) == [(False, False), (True, True)]


@pytest.mark.parametrize("venue", VENUES)
def test_tickers_repeat_the_day(built: Built, venue: str) -> None:
    """Asked at midnight, the last 24 hours are the tenth: all contracts of a coin together have the market's volume.

    OKX tells no USDT: contracts and coins are compared. The others' turnover, or inverse dollars, add up to the cent.
    """
    told = "base_volume" if venue == "okx" else "case when dollars is null then turnover else volume * dollars end"
    market = "base" if venue == "okx" else "quote"
    found = rows(
        built,
        f"""
        with told as (
            select base_asset, sum({told}) as told, bool_and(abs(volume * worth / base_volume - 1) < 1e-9) as is_counted
            from raw_tickers join own using (feed, product, venue_symbol) where feed = '{venue}' group by 1
        )
        select base_asset, abs(told.told - {market}), is_counted from told
        join listed using (base_asset) join candle_day using (venue_id, coin_id) where venue = '{venue}' and k = 282""",
    )
    assert len(found) == (4 if venue == "okx" else 40)
    assert [row for row in found if row[1] > 0.011] == []
    assert all(row[2] for row in found) == (venue == "okx")
    assert one(built, f"select count(distinct event_at) from raw_tickers where feed = '{venue}'") == 1


@pytest.mark.parametrize("venue", VENUES)
def test_terms_name_the_contracts_that_trade_and_no_others(built: Built, venue: str) -> None:
    """A contract without a candle would make every sum over the venue a partial one."""
    named = {str(row[0]) for row in rows(built, f"select venue_symbol from raw_instruments where feed = '{venue}'")}
    traded = {str(row[0]) for row in rows(built, f"select venue_symbol from raw_klines where feed = '{venue}'")}
    traded |= {str(row[0]) for row in rows(built, f"select venue_symbol from files_klines where venue = '{venue}'")}
    assert named == traded
    worth = dict(
        rows(
            built,
            f"""select venue_symbol, contract_value from raw_instruments where feed = '{venue}'
            and venue_symbol in (select venue_symbol from own where feed = '{venue}')""",
        )
    )
    expected = dict(rows(built, f"select venue_symbol, coalesce(dollars, worth) from own where feed = '{venue}'"))
    assert {symbol: worth[symbol] for symbol in expected} == expected


def test_tiers_are_those_of_the_book(built: Built, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Same rates in the same order; each tier begins where the one before it ends."""
    book = shared_sample(tmp_path_factory) / "book" / "margin_tier.parquet"
    different = rows(
        built,
        f"""
        with told as (
            select feed, base_asset, product, list(maintenance_rate order by tier_number) as rates
            from raw_leverage_tiers join own using (feed, product, venue_symbol) group by all
        ),
        book as (
            select b.venue as feed, base_asset, list(maintenance_rate order by notional_floor) as rates
            from '{book}' b join instrument i on i.venue = b.venue and i.venue_symbol = b.contract group by all
        )
        select told.feed, base_asset, told.rates, book.rates from told left join book using (feed, base_asset)
        where len(told.rates) is distinct from len(book.rates) or list_max(list_transform(
            list_zip(told.rates, book.rates), lambda p: abs(p[1] - p[2]))) > 1e-9""",
    )
    assert different == []
    gap = """select count(*) from (select tier_floor, lag(tier_cap) over (partition by feed, venue_symbol
        order by tier_number) as cap, feed from raw_leverage_tiers) where abs(tier_floor - cap) > (feed = 'okx')::int"""
    assert one(built, gap) == 0


def test_funds_sum_to_the_venues(built: Built) -> None:
    """Binance's 1.23 B before and 188 M less after; every venue's pools together are its fund."""
    found = rows(
        built,
        """select feed, strftime(event_at, '%H:%M'), sum(balance) from raw_insurance_funds
        where feed <> 'hyperliquid' group by all order by all""",
    )
    funds = {(str(feed), str(at)): float(usd) for feed, at, usd in found}
    assert funds["binance", "20:50"] == pytest.approx(1.23e9, abs=1)
    assert funds["binance", "22:30"] == pytest.approx(1.23e9 - 188e6, abs=1)
    before = {
        (str(venue), "20:50"): float(fund)
        for venue, fund in rows(built, "select venue, fund from venue where venue in ('bybit', 'okx', 'bitget')")
    }
    assert {key: funds[key] for key in before} == pytest.approx(before, abs=1)


def test_marks_lie_between_the_index_and_the_last_price(built: Built) -> None:
    """Hour by hour, in the units of the venue (1000PEPEUSDT, kPEPE), to half of a last digit."""
    outside = rows(
        built,
        """
        with hour as (
            select r.feed, r.product, r.venue_symbol, r.open_time, max(r.open) filter (price_kind = 'mark') as mark,
                max(r.open) filter (price_kind = 'index') as index_price
            from raw_reference_klines r where r.product not in ('cm', 'inverse') group by all
        )
        select * from hour join own using (feed, product, venue_symbol)
        join listed using (base_asset)
        join minute m using (venue_id, coin_id)
        where listed.venue = hour.feed and timezone('UTC', minute_at(t)) = open_time and mark is not null
            and not (mark between least(index_price, m.o * scale / unit) * (1 - 1e-6)
                and greatest(index_price, m.o * scale / unit) * (1 + 1e-6))""",
    )
    assert outside == []
    covered = rows(
        built,
        """select feed, price_kind, count(distinct venue_symbol) from raw_reference_klines
            where interval_seconds = 3600 and product not in ('cm', 'inverse') group by all order by all""",
    )
    marks = [("binance", "mark", 4), ("bitget", "index", 4), ("bitget", "mark", 4), ("bybit", "mark", 4)]
    assert covered == [*marks, ("okx", "index", 4), ("okx", "mark", 4)]


def test_premium_follows_the_discount_of_the_cascade(built: Built) -> None:
    """PEPE traded some per cent under its index at 21:20 and close to it an hour before."""
    low = dict(
        rows(
            built,
            """select feed || hour(open_time), low from raw_premium_klines where venue_symbol = '1000PEPEUSDT'
            and date = '2025-10-10' and hour(open_time) in (19, 21)""",
        )
    )
    for feed in ("binance", "bybit"):
        assert low[f"{feed}21"] < -0.03 < -0.003 < low[f"{feed}19"] < 0.003


def test_ratios_are_of_all_populations_and_agree_with_their_shares(built: Built) -> None:
    populations = rows(
        built,
        "select feed, list(distinct population order by population) from raw_long_short_ratios group by 1 order by 1",
    )
    every = ["accounts", "taker_volume", "top_accounts", "top_positions"]
    okx = ["accounts", "top_accounts", "top_positions"]
    assert populations == [("binance", every), ("bitget", ["accounts"]), ("bybit", ["accounts"]), ("okx", okx)]
    # Shares have four digits: of a share of 0.65 the last one is worth 8e-4 of the ratio.
    wrong = """select count(*) from raw_long_short_ratios where long_share is not null
        and abs(long_share / (1 - long_share) - long_short_ratio) > 5e-4"""
    assert one(built, wrong) == 0
    assert one(built, "select min(long_short_ratio) from raw_long_short_ratios") > 0.1


def test_takers_ratio_is_that_of_the_bars(built: Built) -> None:
    """Binance's metrics and its bars tell one market: the five minutes to 21:20, which USD-M labels 21:20."""
    told = one(
        built,
        """select long_short_ratio from raw_long_short_ratios where venue_symbol = 'BTCUSDT' and feed = 'binance'
        and population = 'taker_volume' and observed_at = timestamptz '2025-10-10 21:20:00+00'""",
    )
    bars = one(
        built,
        """select sum(taker_buy_volume) / (sum(volume) - sum(taker_buy_volume)) from raw_klines
        where feed = 'binance' and venue_symbol = 'BTCUSDT' and interval_seconds = 60
        and open_time >= timestamptz '2025-10-10 21:15:00+00' and open_time < timestamptz '2025-10-10 21:20:00+00'""",
    )
    assert told == pytest.approx(bars, abs=5e-5)


def test_coinglass_adds_up_the_market(built: Built) -> None:
    """Hours of BTC over all venues and of Binance; open interest of an hour is that of its first minute."""
    told = rows(
        built,
        """select venue, venue_symbol, liquidated_side, sum(amount) from raw_liquidation_sums where feed = 'coinglass'
        and venue in ('market', 'binance') and venue_symbol = 'BTC' group by all order by all""",
    )
    market = rows(
        built,
        """select who, 'BTC', case side when 0 then 'long' else 'short' end, sum(usd) from
            (select unnest(['market', venue]) as who, side, usd from liquidation join listed using (venue_id, coin_id)
                where base_asset = 'BTC' and k in (282, 283))
        where who in ('market', 'binance') group by all order by all""",
    )
    assert [row[:3] for row in told] == [row[:3] for row in market]
    assert [row[3] for row in told] == pytest.approx([row[3] for row in market], abs=48 * 1e-4)
    interest = one(
        built,
        """select open_interest from raw_open_interest where feed = 'coinglass' and venue = 'market'
        and venue_symbol = 'ETH' and observed_at = timestamptz '2025-10-10 21:00:00+00'""",
    )
    expected = "select sum(usd) from oi where coin_id = 1 and minute_of_year = 282 * 1440 + 1260"
    assert interest == pytest.approx(one(built, expected), abs=1)


@pytest.mark.parametrize("feed", ["coinglass", "coinalyze"])
def test_aggregators_funding_is_that_of_the_venues(built: Built, feed: str) -> None:
    """Percent there, fractions in raw."""
    found = rows(
        built,
        f"""select count(*), count(f.rate), bool_and(abs(l.funding_rate - f.rate) < 5.1e-9)
        from raw_funding l
        join listed i on i.venue = l.venue and i.base_asset = left(venue_symbol, 3)
        left join funding f on f.venue_id = i.venue_id and f.coin_id = i.coin_id
            and timezone('UTC', day_at(0) + to_hours(f.hour_of_year)) = l.funding_time where feed = '{feed}'""",
    )
    assert found == [(24, 24, True)]


def test_coinalyze_and_tardis_hand_on_what_the_linear_contract_of_binance_has(built: Built) -> None:
    own_messages = one(
        built,
        """select sum(filled_quantity * average_price) from raw_liquidations where feed = 'binance'
        and venue_symbol = 'BTCUSDT' and date <= '2025-10-11'""",
    )
    tardis = one(built, "select sum(quantity * price) from raw_liquidations where feed = 'tardis'")
    assert tardis == pytest.approx(own_messages, rel=1e-9)
    sides = "select list(distinct side order by side) from raw_liquidations where feed = 'tardis'"
    assert rows(built, sides) == [(["buy", "sell"],)]
    coinalyze = one(
        built,
        """select sum(amount) from raw_liquidation_sums where feed = 'coinalyze' and venue = 'binance'
        and venue_symbol = 'BTCUSDT_PERP.A'""",
    )
    # The messages round quantities to 1e-6 BTC, 0.06 USD each.
    count = one(built, "select count(*) from raw_liquidations where feed = 'tardis'")
    assert coinalyze == pytest.approx(own_messages, abs=0.07 * count)
    interest = rows(
        built,
        """select count(*), bool_and(t.open_interest = o.open_interest) from raw_open_interest t
        join raw_open_interest o on o.observed_at = t.observed_at and o.feed = 'binance' and o.product = 'um'
            and o.venue_symbol = t.venue_symbol and o.period_seconds = 300 where t.feed = 'tardis'""",
    )
    assert interest == [(576, True)]


def test_defillama_tells_a_whole_venue(built: Built) -> None:
    found = rows(
        built, "select date::varchar, open_interest from raw_open_interest where feed = 'defillama' order by 1"
    )
    levels = rows(
        built,
        """select day_at(minute_of_year // 1440)::date::varchar, sum(usd) from oi where venue_id = 9
        and minute_of_year in (282 * 1440, 283 * 1440) group by 1 order by 1""",
    )
    assert [row[0] for row in found] == [row[0] for row in levels] == ["2025-10-10", "2025-10-11"]
    assert [row[1] for row in found] == pytest.approx([row[1] for row in levels], abs=1)
