"""The embedded sample: repeatable to the byte, well-formed, calibrated; every figure is computed from the files."""

import csv
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import lz4.frame
import pytest
from demo_made import shared_sample

from dagster_project.sources.demo import generate_sample, tree_sha256
from dagster_project.sources.demo.files import gzip_bytes, lz4_bytes
from dagster_project.sources.demo.universe import load_universe

pytestmark = pytest.mark.xdist_group("demo_sample")

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "dbt" / "seeds"
T0 = "timestamptz '2025-10-10 20:50:00+00'"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sample for the whole run."""
    return shared_sample(tmp_path_factory)


KLINE = """{'symbol':'varchar','interval':'varchar','ms':'bigint','open':'double','high':'double','low':'double',
    'close':'double','base':'decimal(26,4)','close_ms':'bigint','quote':'decimal(20,2)','trades':'bigint',
    'taker_base':'decimal(26,4)','taker_quote':'decimal(20,2)','ignored':'int'}"""
"""A line of an archive of bars, led by its symbol and interval."""

COIN_KLINE = KLINE.replace("decimal(20,2)", "double")
"""The same of COIN-M, where the quote volume is coins."""

LISTED = "columns={'result':'struct(symbol varchar, category varchar, list varchar[][])'}"
"""A page of Bybit's."""

COIN = "case when starts_with({0}, 'BTC') then 'BTC' else 'ETH' end"
"""The coin of an inverse contract."""


@pytest.fixture(scope="module")
def archives(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All rows of Binance's zips as CSV files, led by symbol and interval; checks every archive on the way."""
    folder = tmp_path_factory.mktemp("archives")
    lines: dict[str, list[str]] = {}
    for path in sorted((sample / "binance" / "data").rglob("*.zip")):
        body = path.read_bytes()
        digest, name = path.with_name(path.name + ".CHECKSUM").read_text().rstrip("\n").split("  ")
        assert (digest, name) == (hashlib.sha256(body).hexdigest(), path.name)
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            (member,) = archive.infolist()
            assert member.filename == path.stem + ".csv"
            assert member.date_time == (1980, 1, 1, 0, 0, 0)
            text = archive.read(member).decode()
        product, _, kind = path.relative_to(sample).parts[3:6]
        symbol, interval = path.stem.split("-")[:2]
        header, *rows = text.splitlines()
        assert header[0].isalpha() and rows and text.endswith("\n")
        lines.setdefault(f"{product}_{kind}", []).extend(f"{symbol},{interval},{row}\n" for row in rows)
    for kind, rows in lines.items():
        (folder / f"{kind}.csv").write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def fills(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hyperliquid's blocks of all hours as one file of JSON lines."""
    target = tmp_path_factory.mktemp("fills") / "blocks.jsonl"
    hours = sorted((sample / "hyperliquid/s3/hl-mainnet-node-data").rglob("*.lz4"))
    target.write_bytes(b"".join(lz4.frame.decompress(path.read_bytes()) for path in hours))
    return target


@pytest.fixture(scope="module")
def con(sample: Path, archives: Path, fills: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The files read back, one table per dataset over all venues, and the book's tables.

    Every row is worth what its venue's documentation says: inverse contracts count dollars (100 or 10 a contract at Binance, 1
    at Bybit), OKX's contracts 0.01 BTC, 0.1 ETH, 1 SOL and 10,000,000 PEPE, Hyperliquid's kPEPE 1,000 PEPE.
    """
    s, d = str(sample), str(sample / "declared")
    with duckdb.connect() as c:
        c.execute("set timezone = 'UTC'")
        c.execute(f"""
            create table instrument as from read_csv('{SEEDS}/instruments.csv');
            create table tier as from read_csv('{SEEDS}/asset_tiers.csv');
            create table bybit_raw as
                select result.symbol as symbol, unnest(result.list) as x, filename
                from read_json('{s}/bybit/v5/market/kline/*.json', {LISTED}, filename=true);
            create table bybit_index_raw as
                select result.symbol as symbol, unnest(result.list) as x
                from read_json('{s}/bybit/v5/market/index-price-kline/*.json', {LISTED});
            create table candle as
                select 'binance' as venue, symbol, case interval when '1d' then 'day' else 'minute' end as bar,
                    make_timestamptz(ms * 1000) as ts, open, high, low, close, base, quote
                from read_csv('{archives}/um_klines.csv', header=false, columns={KLINE})
                union all
                select distinct 'bybit', symbol, case when filename like '%-D-%' then 'day' else 'minute' end,
                    make_timestamptz(x[1]::bigint * 1000), x[2]::double, x[3]::double, x[4]::double, x[5]::double,
                        x[6]::decimal(26,4), x[7]::decimal(20,2)
                from bybit_raw
                union all
                select venue, symbol, 'day', timestamp, open, high, low, close, base_volume::decimal(26,4),
                    quote_volume_usd::decimal(20,2) from '{d}/candles_daily.parquet'
                union all
                select venue, symbol, 'minute', timestamp, open, high, low, close, base_volume::decimal(26,4),
                    quote_volume_usd::decimal(20,2) from '{d}/candles_minute.parquet';
            -- Minutes of the contracts that are settled in their coin, worth USD each.
            create table inverse_candle as
                select 'binance' as venue, symbol, make_timestamptz(ms * 1000) as ts, open, high, low, close,
                    base * case when symbol = 'BTCUSD_PERP' then 100 when symbol = 'ETHUSD_PERP' then 10 end as usd
                from read_csv('{archives}/cm_klines.csv', header=false,
                    columns={COIN_KLINE})
                union all
                select distinct 'bybit', symbol, make_timestamptz(x[1]::bigint * 1000), x[2]::double, x[3]::double,
                    x[4]::double, x[5]::double, x[6]::decimal(26,4)
                from (select result.symbol as symbol, unnest(result.list) as x
                    from read_json('{s}/bybit/v5/market/kline/inverse/*.json', {LISTED}));
            create table index_bar as
                select 'binance' as venue, symbol, make_timestamptz(ms * 1000) as ts, open, high, low, close
                from read_csv('{archives}/um_indexPriceKlines.csv', header=false, columns={KLINE})
                union all
                select distinct 'bybit', symbol, make_timestamptz(x[1]::bigint * 1000), x[2]::double, x[3]::double,
                    x[4]::double, x[5]::double from bybit_index_raw
                union all select venue, symbol, timestamp, open, high, low, close from '{d}/index_minute.parquet';
            create table oi as
                select 'binance' as venue, symbol, make_timestamptz("timestamp" * 1000) as ts,
                    filename like '%-1d-%' as daily, sumOpenInterestValue as usd
                from read_json('{s}/binance/fapi/openInterestHist/*.json', filename=true,
                    columns={{'symbol':'varchar','sumOpenInterest':'double','sumOpenInterestValue':'double','timestamp':'bigint'}})
                union all
                select 'bybit', o.symbol, o.ts, daily, o.base / 2 * k.open from (
                    select symbol, make_timestamptz(i."timestamp"::bigint * 1000) as ts,
                        i.openInterest::double as base, daily from (
                        select result.symbol as symbol, unnest(result.list) as i, filename like '%-1d-%' as daily
                        from read_json('{s}/bybit/v5/market/open-interest/*.json', filename=true,
                            columns={{'result':
                                'struct(symbol varchar, list struct("openInterest" varchar, "timestamp" varchar)[])'}}))) o
                join candle k on k.venue = 'bybit' and k.symbol = o.symbol and k.ts = o.ts and k.bar = case when daily
                    then 'day' else 'minute' end
                union all
                select venue, symbol, timestamp, hour(timestamp) = 0 and minute(timestamp) = 0, open_interest_usd
                    from '{d}/open_interest.parquet'
                union all
                -- A label of COIN-M is the start of its five minutes.
                select 'binance', symbol, concat(label, '+00')::timestamptz + interval 5 minute, false,
                    contracts * case when symbol = 'BTCUSD_PERP' then 100 when symbol = 'ETHUSD_PERP' then 10 end
                from read_csv('{archives}/cm_metrics.csv', header=false, columns={{'symbol':'varchar','kind':'varchar',
                    'label':'varchar','name':'varchar','contracts':'bigint','coins':'double','a':'double','b':'double',
                    'c':'double','d':'double'}})
                union all
                select 'bybit', symbol, make_timestamptz(i."timestamp"::bigint * 1000), false, i.openInterest::bigint / 2
                from (select result.symbol as symbol, unnest(result.list) as i
                    from read_json('{s}/bybit/v5/market/open-interest/inverse/*.json', columns={{'result':
                        'struct(symbol varchar, list struct("openInterest" varchar, "timestamp" varchar)[])'}}));
            insert into oi select venue, symbol, ts, true, usd from oi
                where symbol in ('BTCUSD_PERP', 'ETHUSD_PERP', 'BTCUSD', 'ETHUSD') and hour(ts) = 0 and minute(ts) = 0;
            -- Struct fields ignore case in DuckDB, but s and S differ here, so the messages are read by JSON path.
            create table liquidation as
                select 'binance' as venue, json ->> '$.o.s' as symbol,
                    make_timestamptz((json ->> '$.o.T')::bigint * 1000) as ts,
                    case json ->> '$.o.S' when 'SELL' then 'long' when 'BUY' then 'short' end as side,
                    (json ->> '$.o.ap')::double * (json ->> '$.o.z')::double as usd
                from read_ndjson_objects('{s}/binance/stream/forceOrder/*.jsonl')
                union all
                select 'bybit', i ->> '$.s', make_timestamptz((i ->> '$.T')::bigint * 1000),
                    case i ->> '$.S' when 'Buy' then 'long' when 'Sell' then 'short' end,
                    (i ->> '$.p')::double * (i ->> '$.v')::double
                from (
                    select unnest((json -> '$.data')::json[]) as i
                    from read_ndjson_objects('{s}/bybit/stream/allLiquidation/*.jsonl')
                )
                union all select venue, symbol, timestamp, side, value_usd from '{d}/liquidations.parquet'
                union all
                -- COIN-M's archive has every row twice.
                select distinct 'binance', {COIN.format("symbol")} || 'USDT', make_timestamptz(ms * 1000),
                    case side when 'SELL' then 'long' when 'BUY' then 'short' end,
                    filled * case when symbol = 'BTCUSD_PERP' then 100 when symbol = 'ETHUSD_PERP' then 10 end
                from read_csv('{archives}/cm_liquidationSnapshot.csv', header=false, columns={{'symbol':'varchar',
                    'kind':'varchar','ms':'bigint','side':'varchar','type':'varchar','force':'varchar','asked':'bigint',
                    'price':'double','average':'double','status':'varchar','last':'bigint','filled':'bigint'}})
                union all
                select 'bybit', {COIN.format("i ->> '$.s'")} || 'USDT', make_timestamptz((i ->> '$.T')::bigint * 1000),
                    case i ->> '$.S' when 'Buy' then 'long' when 'Sell' then 'short' end, (i ->> '$.v')::double
                from (
                    select unnest((json -> '$.data')::json[]) as i
                    from read_ndjson_objects('{s}/bybit/stream/allLiquidation/inverse/*.jsonl')
                )
                union all
                select 'okx', json ->> '$.data[0].instId',
                    make_timestamptz((json ->> '$.data[0].details[0].ts')::bigint * 1000),
                    json ->> '$.data[0].details[0].posSide',
                    (json ->> '$.data[0].details[0].sz')::double * (json ->> '$.data[0].details[0].bkPx')::double
                        * case json ->> '$.data[0].instFamily' when 'BTC-USDT' then 0.01 when 'ETH-USDT' then 0.1
                            when 'SOL-USDT' then 1 when 'PEPE-USDT' then 10000000 end
                from read_ndjson_objects('{s}/okx/stream/liquidation-orders/*.jsonl')
                union all
                select 'bitget', i.symbol, make_timestamptz(i.ts::bigint * 1000),
                    case i.side when 'buy' then 'long' when 'sell' then 'short' end, i.price::double * i.amount::double
                from (select unnest(data.list) as i from read_json('{s}/bitget/api/v3/market/liquidations/*.json',
                    columns={{'data':
                        'struct(list struct(symbol varchar, side varchar, price varchar, amount varchar, ts varchar)[])'}}));
            create table fill as
                select event ->> '$[0]' as account, event -> '$[1]' as fill
                from (select unnest((json -> '$.events')::json[]) as event from read_ndjson_objects('{fills}'));
            insert into liquidation
                select 'hyperliquid', fill ->> '$.coin', make_timestamptz((fill ->> '$.time')::bigint * 1000),
                    case fill ->> '$.side' when 'A' then 'long' when 'B' then 'short' end,
                    (fill ->> '$.sz')::double * (fill ->> '$.px')::double
                from fill where fill ->> '$.liquidation.liquidatedUser' = account;
            create table adl as
                select coin as symbol, timestamp as ts, adl_usd as usd from '{d}/adl.parquet' where adl_usd is not null
                union all
                select replace(fill ->> '$.coin', 'kPEPE', 'PEPE'), make_timestamptz((fill ->> '$.time')::bigint * 1000),
                    (fill ->> '$.sz')::double * (fill ->> '$.px')::double
                from fill where fill ->> '$.dir' = 'Auto-Deleveraging';
            create table funding as
                select 'binance' as venue, symbol, make_timestamptz("fundingTime" * 1000) as ts, "fundingRate" as rate
                from read_json('{s}/binance/fapi/fundingRate/*.json',
                    columns={{'symbol':'varchar','fundingTime':'bigint','fundingRate':'double','markPrice':'double'}})
                union all
                select distinct 'bybit', i.symbol, make_timestamptz(i."fundingRateTimestamp"::bigint * 1000),
                    i."fundingRate"::double
                from (select unnest(result.list) as i from read_json('{s}/bybit/v5/market/funding/history/*.json',
                    columns={{'result':
                        'struct(list struct(symbol varchar, "fundingRate" varchar, "fundingRateTimestamp" varchar)[])'}}))
                union all select venue, symbol, timestamp, funding_rate from '{d}/funding.parquet';
            create table depth as
                select 'binance' as venue, symbol, concat(ts, '+00')::timestamptz as ts, case when percentage < 0
                    then 'bid' else 'ask' end as side, abs(percentage) * 100 as band_bps, notional as usd
                from read_csv('{archives}/um_bookDepth.csv', header=false,
                    columns={{'symbol':'varchar','kind':'varchar','ts':'varchar','percentage':'double','depth':'double','notional':'double'}})
                union all select venue, symbol, timestamp, side, band_bps, depth_usd from '{d}/depth.parquet';
        """)
        for table in sorted((sample / "book").glob("*.parquet")):
            c.execute(f"create table book_{table.stem} as from '{table}'")
        yield c


def one(con: duckdb.DuckDBPyConnection, query: str) -> float:
    """Return the single number that ``query`` gives."""
    row = con.execute(query).fetchone()
    assert row is not None
    return float(row[0])


def by(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, float]:
    """Return a dict from the two columns of ``query``."""
    return {key: float(value) for key, value in con.execute(query).fetchall()}


def test_same_seed_gives_the_same_bytes_for_any_thread_count_time_zone_and_process(
    sample: Path, tmp_path: Path
) -> None:
    """One DuckDB thread, another time zone, hash seed and working folder change no byte."""
    code = (
        "import sys; from dagster_project.sources.demo import generate_sample; generate_sample(sys.argv[1], threads=1)"
    )
    env = os.environ | {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "again")], env=env, cwd=tmp_path, check=True, timeout=240
    )
    assert tree_sha256(tmp_path / "again") == tree_sha256(sample)


def test_replacing_a_sample_gives_the_same_bytes_and_leaves_nothing_beside_it(sample: Path, tmp_path: Path) -> None:
    """An older sample is replaced as a whole."""
    out = tmp_path / "demo"
    out.mkdir()
    (out / "SAMPLE.json").write_text("{}")
    (out / "stale.txt").write_text("from an older version")
    generate_sample(out, threads=2)
    assert tree_sha256(out) == tree_sha256(sample)
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]


def test_a_folder_that_is_not_a_sample_is_refused_and_untouched(tmp_path: Path) -> None:
    """Nobody loses a folder of their own to a mistyped path."""
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="not a sample"):
        generate_sample(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_every_day_of_the_year_has_one_archive_per_symbol(con: duckdb.DuckDBPyConnection, sample: Path) -> None:
    """14,600 daily zips and 80 each of minute, index and depth zips; 400 contracts by day and by minute."""
    daily = sample / "binance/data/futures/um/daily"
    counts = {
        p: len(list(daily.glob(p)))
        for p in ("klines/*/1d/*.zip", "klines/*/1m/*.zip", "indexPriceKlines/*/1m/*.zip", "bookDepth/*/*.zip")
    }
    assert list(counts.values()) == [14600, 80, 80, 80]
    assert one(con, "select count(*) from candle where bar = 'day'") == 400 * 365
    assert one(con, "select count(*) from candle where bar = 'minute'") == 400 * 2880
    assert one(con, "select count(*) from index_bar") == 80 * 2880 + 320 * 180, "three hours in the declared files"
    assert (
        one(
            con,
            """select count(distinct (venue, symbol)) from candle
            semi join instrument i on i.venue = candle.venue and venue_symbol = symbol""",
        )
        == 400
    )


def test_binance_timestamps_are_milliseconds_and_pages_obey_their_limits(sample: Path) -> None:
    """Pages hold at most the endpoint's limit; Bybit's run newest first and repeat their edge row."""
    for path in (sample / "binance/fapi/openInterestHist").glob("BTC*.json"):
        page = json.loads(path.read_text())
        assert 0 < len(page) <= 500
        assert [r["timestamp"] for r in page] == sorted(r["timestamp"] for r in page)
        assert 1.7e12 < page[0]["timestamp"] < 1.8e12 and isinstance(page[0]["sumOpenInterest"], str)
    pages = [
        json.loads((sample / f"bybit/v5/market/kline/BTCUSDT-1-{n}.json").read_text())["result"]["list"]
        for n in (1, 2, 3)
    ]
    assert [len(p) for p in pages] == [1000, 1000, 882]
    assert all([int(r[0]) for r in p] == sorted((int(r[0]) for r in p), reverse=True) for p in pages)
    assert pages[0][-1] == pages[1][0] and pages[1][-1] == pages[2][0]
    assert not (sample / "bybit/v5/market/kline/BTCUSDT-1-4.json").exists()
    oi = [
        json.loads((sample / f"bybit/v5/market/open-interest/BTCUSDT-1d-{n}.json").read_text())["result"]
        for n in (1, 2)
    ]
    assert [len(p["list"]) for p in oi] == [200, 165]
    assert oi[0]["nextPageCursor"] and oi[1]["nextPageCursor"] == ""
    jitter = {
        int(r["fundingTime"]) % 3_600_000
        for r in json.loads((sample / "binance/fapi/fundingRate/BTCUSDT-1.json").read_text())
    }
    assert jitter <= set(range(13)) and len(jitter) > 3


def test_prices_of_every_bar_are_ordered(con: duckdb.DuckDBPyConnection) -> None:
    """0 < low <= open, close <= high; volumes are positive."""
    for table in ("candle", "index_bar"):
        assert (
            one(
                con,
                f"""select count(*) from {table}
                where not (low > 0 and low <= least(open, close) and high >= greatest(open, close))""",
            )
            == 0
        )
    assert one(con, "select count(*) from candle where not (quote > 0 and base >= 0)") == 0


def test_minute_bars_add_up_to_the_daily_bar(con: duckdb.DuckDBPyConnection) -> None:
    """Open, high, low, close and both volumes of the two days, exactly as printed."""
    different = one(
        con,
        """
        with summed as (
            select venue, symbol, date_trunc('day', ts) as ts, arg_min(open, ts) as open, max(high) as high,
                min(low) as low,
                arg_max(close, ts) as close, sum(base) as base, sum(quote) as quote
            from candle where bar = 'minute' group by all
        )
        select count(*) from summed s left join candle c on c.venue = s.venue and c.symbol = s.symbol and c.ts = s.ts
            and c.bar = 'day'
        where (s.open, s.high, s.low, s.close, s.quote) is distinct from (c.open, c.high, c.low, c.close, c.quote)
            -- A day of PEPE is 1e14 units: above 2^53 in ten-thousandths, so a double cannot be cast back to them
            -- exactly.
            or abs(s.base - c.base) > 1e-14 * c.base
        """,
    )
    assert different == 0


def test_year_volume_is_that_of_each_venue_and_peaks_on_10_october(con: duckdb.DuckDBPyConnection) -> None:
    """85.70 T in all; the published four and the assumed six; 748.3 B on the peak day."""
    con.execute("""create or replace temp table traded as
        select venue, ts::date as day, quote as usd from candle where bar = 'day'
        union all select venue, ts::date, usd from inverse_candle""")
    volume = by(con, "select venue, sum(usd) / 1e12 from traded group by 1")
    target = {
        "binance": 25.09,
        "okx": 10.76,
        "bybit": 9.43,
        "bitget": 8.17,
        "gate": 7.4,
        "mexc": 6.6,
        "bingx": 5.4,
        "htx": 4.9,
    }
    target |= {"kucoin": 4.3, "hyperliquid": 3.65}
    assert volume == pytest.approx(target, rel=1e-9)
    assert sum(volume.values()) == pytest.approx(85.70, rel=1e-9)
    days = by(con, "select strftime(day, '%m-%d'), sum(usd) / 1e9 from traded group by 1 order by 2 desc")
    peak = next(iter(days))
    assert peak == "10-10"
    assert days[peak] == pytest.approx(748.3, rel=1e-9)


def test_liquidations_meet_the_published_totals(con: duckdb.DuckDBPyConnection) -> None:
    """150 B in the year; the event's 19.13 B by venue, side and coin; its pace (rounded quantities, so 1e-4)."""
    assert one(con, "select sum(usd) / 1e9 from liquidation") == pytest.approx(150, rel=1e-4)
    con.execute(f"""create or replace temp table event as select l.*, base_asset from liquidation l
        join instrument i on i.venue = l.venue and venue_symbol = symbol where ts >= {T0}
            and ts < {T0} + interval 24 hour""")
    assert one(con, "select sum(usd) / 1e9 from event") == pytest.approx(19.13, rel=1e-4)
    assert one(con, "select sum(usd) filter (side = 'long') / sum(usd) from event") == pytest.approx(0.87, abs=1e-4)
    venue = by(con, "select venue, sum(usd) / 1e9 from event group by 1")
    target = {"hyperliquid": 10.25, "bybit": 4.6, "binance": 2.4, "okx": 1.21, "htx": 0.36, "gate": 0.26}
    assert {v: venue[v] for v in target} == pytest.approx(target, rel=1e-4)
    assert by(con, "select side, sum(usd) / 1e9 from event where venue = 'binance' group by 1") == pytest.approx(
        {"long": 1.42, "short": 0.98}, rel=1e-4
    )
    coin = by(con, "select base_asset, sum(usd) / 1e9 from event where base_asset in ('BTC', 'ETH', 'SOL') group by 1")
    assert coin == pytest.approx({"BTC": 5.39, "ETH": 4.45, "SOL": 2.02}, rel=1e-4)
    assert one(con, f"select sum(usd) filter (ts < {T0} + interval 40 minute) / sum(usd) from event") == pytest.approx(
        6.93 / 9.89, abs=0.002
    )
    minutes = by(con, "select strftime(ts, '%H:%M'), sum(usd) / 19.13e9 from event group by 1 order by 2 desc")
    peak = next(iter(minutes))
    assert peak == "21:15"
    assert minutes[peak] == pytest.approx(0.25, abs=0.005)
    first, window = con.execute(f"""select min(ts)::varchar,
        sum(usd) filter (ts < timestamptz '2025-10-10 21:27:00+00') / 1e9
        from event where venue = 'hyperliquid' and ts >= {T0}""").fetchone() or ("", 0)
    assert first == "2025-10-10 21:15:03+00" and window == pytest.approx(5.511, rel=1e-4)


def test_routine_days_are_quiet_balanced_and_heavy_tailed(con: duckdb.DuckDBPyConnection) -> None:
    """The median day is below the mean; the long share of routine days scatters around one half."""
    con.execute("""create or replace temp table day as select ts::date as day, sum(usd) / 1e9 as usd,
        sum(usd) filter (side = 'long') / sum(usd) as long_share from liquidation group by 1""")
    assert 0.25 < one(con, "select median(usd) from day") < 0.45
    assert one(con, "select count(*) from day where usd > 0.8") >= 3
    assert 0.45 < one(con, "select median(long_share) from day") < 0.58


def test_open_interest_meets_the_published_levels(con: duckdb.DuckDBPyConnection) -> None:
    """Low of Q1, peak on 7 October, 217 to 123 B in the event (Hyperliquid 14 to 6), year end."""
    levels = by(con, "select strftime(ts, '%m-%d'), sum(usd) / 1e9 from oi where daily group by 1 order by 1")
    assert len(levels) == 365
    assert max(levels, key=lambda d: levels[d]) == "10-07" and levels["10-07"] == pytest.approx(235.9, rel=1e-4)
    assert min(v for d, v in levels.items() if d < "04") == pytest.approx(87, rel=1e-4)
    assert levels["12-31"] == pytest.approx(145.1, rel=1e-4)
    five = f"""from oi where (venue not in ('binance', 'bybit') or not daily)
        and ts between {T0} - interval 12 hour and {T0} + interval 24 hour"""
    path = by(con, f"select strftime(ts, '%d %H:%M'), sum(usd) / 1e9 {five} group by 1")
    assert path["10 20:50"] == pytest.approx(217, rel=1e-4)
    assert path["10 22:30"] == pytest.approx(123, rel=1e-3) and min(path.values()) > 122.5
    hyperliquid = by(
        con, f"select strftime(ts, '%d %H:%M'), sum(usd) / 1e9 {five} and venue = 'hyperliquid' group by 1"
    )
    assert hyperliquid["10 20:50"] == pytest.approx(14, rel=1e-3) and hyperliquid["10 22:30"] == pytest.approx(
        6, rel=1e-2
    )


def test_prices_follow_the_published_path(con: duckdb.DuckDBPyConnection) -> None:
    """BTC's high and low, ETH's low, the tail's troughs and when they came."""
    btc = """select arg_max(ts, high)::date::varchar, max(high) from candle
        where venue = 'binance' and symbol = 'BTCUSDT' and bar = 'day'"""
    day, high = con.execute(btc).fetchone() or ("", 0)
    assert day == "2025-10-06" and high == pytest.approx(126_200, rel=5e-4)
    con.execute(f"""create or replace temp table trough as
        select c.venue, base_asset, tier, min(low) as low, arg_min(ts, low) as ts, arg_min(open, ts) as pre,
            min(low) / arg_min(open, ts) - 1 as fall, arg_max(close, ts) / arg_min(open, ts) - 1 as left_at_midnight
        from candle c join instrument i on i.venue = c.venue and venue_symbol = symbol join tier using (base_asset)
        where bar = 'minute' and ts >= {T0} and ts < timestamptz '2025-10-11 00:00:00+00' group by all""")
    low = by(con, "select base_asset, low from trough where venue = 'binance' and base_asset in ('BTC', 'ETH')")
    assert low["BTC"] == pytest.approx(104_800, rel=1e-3) and 3436 <= low["ETH"] <= 3551
    assert one(con, "select pre from trough where venue = 'binance' and base_asset = 'BTC'") == pytest.approx(
        122_600, rel=1e-3
    )
    assert one(con, "select median(fall) from trough where tier = 'tail'") == pytest.approx(-0.55, abs=0.015)
    assert one(con, "select count(distinct base_asset) from trough where fall < -0.8") >= 4
    assert one(con, "select count(*) from trough where strftime(ts, '%H:%M') not between '21:17' and '21:23'") == 0
    assert one(con, "select count(*) from trough where left_at_midnight < fall / 2 - 0.05") <= 40


def test_perpetuals_trade_below_their_index_in_the_cascade(con: duckdb.DuckDBPyConnection) -> None:
    """Tens of basis points for majors and hundreds for the tail at 21:20, a few at most before."""
    gap = """select tier, median(10000 * (c.close / x.close - 1)) from candle c
        join index_bar x using (venue, symbol, ts)
        join instrument i on i.venue = c.venue and venue_symbol = symbol join tier using (base_asset)
        where bar = 'minute' and ts = timestamptz '2025-10-10 {}:00+00' group by 1"""
    before, during = by(con, gap.format("20:40")), by(con, gap.format("21:20"))
    assert max(abs(v) for v in before.values()) < 3
    assert -200 < during["major"] < -50 and during["major"] > during["mid"] > during["tail"] > -2000


def test_depth_collapses_and_funding_turns_negative(con: duckdb.DuckDBPyConnection) -> None:
    """BTC's 20 M within 1 % on Binance falls by more than 90 %, the tail's by some 98 %; funding is positive until then."""
    depth = """select sum(usd) from depth where venue = 'binance' and symbol = 'BTCUSDT' and band_bps = 100
        and ts = timestamptz '2025-10-10 {}:00+00'"""
    assert one(con, depth.format("20:50")) == pytest.approx(20e6, rel=1e-6)
    assert one(con, depth.format("21:18")) < 2e6
    ratio = one(
        con,
        f"""select median(low / pre) from (select sum(usd) filter (ts = {T0}) as pre,
        sum(usd) filter (ts = timestamptz '2025-10-10 21:18:00+00') as low from depth d
        join instrument i on i.venue = d.venue and venue_symbol = symbol join tier using (base_asset)
        where tier = 'tail' and band_bps = 100 and side = 'bid' group by d.venue, symbol)""",
    )
    assert 0.01 < ratio < 0.035
    assert one(
        con, f"select avg(rate) * 10000 from funding where venue <> 'hyperliquid' and ts < {T0}"
    ) == pytest.approx(1, abs=0.3)
    assert (
        one(con, "select min(rate) from funding where ts between timestamptz '2025-10-11' and timestamptz '2025-10-12'")
        < -0.001
    )
    hours = by(con, "select venue, count(*) / 40 from funding group by 1")
    assert hours.pop("hyperliquid") == 8760 and set(hours.values()) == {1095.0}


def test_auto_deleveraging_is_hyperliquids_by_coin_and_within_its_minutes(con: duckdb.DuckDBPyConnection) -> None:
    """2,103,111,431 USD between 21:16:04.831 and 21:26:57, declared or as fills; the ten published coins."""
    assert one(con, "select sum(usd) from adl") == pytest.approx(2_103_111_431, abs=10)
    assert con.execute("select min(ts)::varchar, max(ts)::varchar from adl").fetchone() == (
        "2025-10-10 21:16:04.831+00",
        "2025-10-10 21:26:57+00",
    )
    coin = by(con, "select symbol, sum(usd) / 1e6 from adl group by 1")
    assert len(coin) == 40
    target = {
        "BTC": 620.9,
        "ETH": 458.0,
        "SOL": 276.2,
        "HYPE": 189.9,
        "XPL": 65.8,
        "PUMP": 57.3,
        "ENA": 42.5,
        "AVAX": 36.6,
    }
    target |= {"FARTCOIN": 32.0, "XRP": 31.4}
    assert {c: coin[c] for c in target} == pytest.approx(target, rel=1e-6)


def test_the_book_is_balanced_and_complete(con: duckdb.DuckDBPyConnection) -> None:
    """400 contracts, 50,000 traders and ten makers; every quantity is whole lots and every contract sums to 0 lots."""
    assert by(con, "select kind, count(*) from book_account group by 1") == {"trader": 50_000, "maker": 10}
    assert (
        one(
            con,
            "select count(*) from book_contract c join instrument i on i.venue = c.venue and venue_symbol = contract",
        )
        == 400
    )
    lots = """select p.venue, contract, quantity / lot_size as x, round(quantity / lot_size)::hugeint as lots
        from book_position p join book_contract using (venue, contract)"""
    assert one(con, f"select max(abs(x - lots) / greatest(1, abs(x))) from ({lots})") < 1e-9
    assert (
        one(con, f"select count(*) from (select sum(lots) as s from ({lots}) group by venue, contract) where s <> 0")
        == 0
    )
    assert (
        one(
            con,
            """select count(*) from (select account_id from book_position join book_account using (account_id)
            where kind = 'trader' group by 1 having count(*) <> 1)""",
        )
        == 0
    )
    assert one(con, "select count(*) from book_position anti join book_account using (account_id)") == 0
    assert (
        one(con, "select max(abs(s - 1)) from (select sum(weight) as s from book_index_weight group by base_asset)")
        < 1e-9
    )
    sizes = by(
        con,
        """select venue, sum(greatest(quantity, 0) * index_price) / 1e9 from book_position
            join book_contract using (venue, contract) group by 1""",
    )
    assert sum(sizes.values()) == pytest.approx(217, rel=0.01) and sizes["hyperliquid"] == pytest.approx(14, rel=0.02)


def test_nobody_in_the_book_is_in_breach_before_a_shock(sample: Path) -> None:
    """Equity above 1.05 x maintenance slice by slice: each slice of notional at its own rate."""
    with duckdb.connect() as c:
        b = f"'{sample}/book"
        tiers: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for venue, contract, floor, cap, rate in c.execute(
            f"""select venue, contract, notional_floor, notional_cap, maintenance_rate
            from {b}/margin_tier.parquet' order by all"""
        ).fetchall():
            tiers.setdefault((venue, contract), []).append((floor, cap, rate))
        rows = c.execute(f"""
            select p.venue, p.contract, quantity, entry_price, index_price, l.amount * l.price
            from {b}/position.parquet' p join {b}/account.parquet' a using (account_id)
            join {b}/collateral.parquet' l on l.account_id = p.account_id and l.contract = p.contract
            join {b}/contract.parquet' k on k.venue = p.venue and k.contract = p.contract
            where a.kind = 'trader'""").fetchall()
    assert len(rows) == 50_000
    for venue, contract, quantity, entry, index, collateral in rows:
        notional = abs(quantity) * index
        maintenance = sum(max(0.0, min(notional, cap) - floor) * rate for floor, cap, rate in tiers[venue, contract])
        equity = collateral + quantity * (index - entry)
        assert collateral > 0 and equity > 1.05 * maintenance, (venue, contract, quantity)


def test_margin_schedules_are_continuous_at_their_floors(con: duckdb.DuckDBPyConnection) -> None:
    """Two neighbouring brackets agree on the maintenance of the notional where they meet."""
    jump = """select max(abs(f * r0 - a0 - (f * r1 - a1)))
        from (select notional_floor as f, maintenance_rate as r1, maintenance_amount as a1,
        lag(maintenance_rate) over w as r0, lag(maintenance_amount) over w as a0 from book_margin_tier
        window w as (partition by venue, contract order by notional_floor)) where r0 is not null"""
    assert one(con, jump) < 0.01


def test_seeds_name_the_same_contracts_as_the_universe() -> None:
    """``instruments.csv`` and ``asset_tiers.csv`` in dbt/seeds repeat the generator's universe."""
    with duckdb.connect() as c:
        load_universe(c)
        expected = c.execute(
            """select venue, venue_symbol, base_asset, multiplier::int::varchar, quote_asset
            from instrument join venue using (venue_id, venue) order by all"""
        ).fetchall()
        tiers = dict(c.execute("select base_asset, tier from coin").fetchall())
    with (SEEDS / "instruments.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seeded = [(r["venue"], r["venue_symbol"], r["base_asset"], r["multiplier"], r["quote_asset"]) for r in rows]
    assert set(expected) <= set(seeded)
    with (SEEDS / "asset_tiers.csv").open(newline="") as file:
        seeded_tiers = {r["base_asset"]: r["tier"] for r in csv.DictReader(file)}
    assert tiers.items() <= seeded_tiers.items()


def test_sample_json_says_that_it_is_synthetic_and_how_well_it_is_calibrated(sample: Path) -> None:
    """Every target is met to 2 %."""
    said = json.loads((sample / "SAMPLE.json").read_text())
    assert said["source_class"] == "synthetic" and said["seed"] == 20251010
    assert all(c["achieved"] == pytest.approx(c["target"], rel=0.02) for c in said["calibrations"])


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 200_000, 4 * 2**20, 4 * 2**20 + 1])
def test_stored_frames_and_members_open_with_the_usual_tools(size: int) -> None:
    """LZ4 frames and gzip members written without a compressor hold what was put in, also over the ends of blocks."""
    text = ("block by block\n" * (size // 15 + 1))[:size]
    assert lz4.frame.decompress(lz4_bytes(text)).decode() == text
    assert gzip.decompress(gzip_bytes(text)).decode() == text
