"""Binance USD-M futures: archive zips, REST pages and the forceOrder stream, as documented by the venue.

Archive: github.com/binance/binance-public-data. Time is in milliseconds throughout (the microseconds of 2025 are spot's).
"""

from dagster_project.sources.dataset import Batch, Dataset

VENUE = "binance"

_KLINE_COLUMNS = {
    "open_ms": "BIGINT",
    "open": "DOUBLE",
    "high": "DOUBLE",
    "low": "DOUBLE",
    "close": "DOUBLE",
    "volume": "DOUBLE",
    "close_ms": "BIGINT",
    "quote_volume": "DOUBLE",
    "trade_count": "BIGINT",
    "taker_buy_volume": "DOUBLE",
    "taker_buy_quote_volume": "DOUBLE",
    "ignored": "VARCHAR",
}

# An archive is named SYMBOL-INTERVAL-DATE.zip, and the rows inside name neither symbol nor interval.
_NAME = r"([^/]+)-([0-9]+[a-zA-Z]+)-\d{4}-\d{2}(-\d{2})?\."
_SYMBOL = f"regexp_extract(landed.landing_path, '{_NAME}', 1)"
_INTERVAL = f"regexp_extract(landed.landing_path, '{_NAME}', 2)"


def _klines(batch: Batch) -> str:
    rows = batch.csv_from_zips(_KLINE_COLUMNS)
    return f"""
        SELECT rows.*, {_SYMBOL} AS venue_symbol, {_INTERVAL} AS interval,
          make_timestamptz(open_ms * 1000) AS open_time, make_timestamptz(close_ms * 1000) AS close_time,
          make_timestamptz(open_ms * 1000) AS event_at
        FROM ({rows}) AS rows JOIN landed USING (file_number)"""


def _book_depth(batch: Batch) -> str:
    rows = batch.csv_from_zips(
        {"snapshot": "TIMESTAMP", "percentage": "DOUBLE", "depth": "DOUBLE", "notional": "DOUBLE"}
    )
    return f"""
        SELECT rows.*, regexp_extract(landed.landing_path, '([^/]+)-bookDepth-', 1) AS venue_symbol,
          snapshot AT TIME ZONE 'UTC' AS timestamp, snapshot AT TIME ZONE 'UTC' AS event_at
        FROM ({rows}) AS rows JOIN landed USING (file_number)"""


def _open_interest(batch: Batch) -> str:
    rows = batch.json_pages(
        {"symbol": "VARCHAR", "sumOpenInterest": "DOUBLE", "sumOpenInterestValue": "DOUBLE", "timestamp": "BIGINT"},
        "array",
    )
    return f"""
        SELECT file_number, symbol AS venue_symbol, make_timestamptz(pages.timestamp * 1000) AS timestamp,
          make_timestamptz(pages.timestamp * 1000) AS event_at,
          regexp_extract(landed.landing_path, '-([0-9]+[mhd])-[0-9]+\\.json', 1) AS period,
          sumOpenInterest AS sum_open_interest, sumOpenInterestValue AS sum_open_interest_value
        FROM ({rows}) AS pages JOIN landed USING (file_number)"""


def _funding(batch: Batch) -> str:
    rows = batch.json_pages(
        {"symbol": "VARCHAR", "fundingTime": "BIGINT", "fundingRate": "DOUBLE", "markPrice": "DOUBLE"}, "array"
    )
    return f"""
        SELECT file_number, symbol AS venue_symbol, make_timestamptz(fundingTime * 1000) AS funding_time,
          make_timestamptz(fundingTime * 1000) AS event_at, fundingRate AS funding_rate, markPrice AS mark_price
        FROM ({rows})"""


def _liquidations(batch: Batch) -> str:
    # Names inside a DuckDB struct are case-insensitive, and this message has both s (symbol) and S (side).
    rows = batch.json_pages({"e": "VARCHAR", "o": "JSON"}, "newline_delimited")
    return f"""
        SELECT file_number, o->>'$.s' AS venue_symbol, o->>'$.S' AS order_side, o->>'$.X' AS order_status,
          (o->>'$.q')::DOUBLE AS original_quantity, (o->>'$.z')::DOUBLE AS accumulated_quantity,
          (o->>'$.p')::DOUBLE AS price, (o->>'$.ap')::DOUBLE AS average_price,
          make_timestamptz((o->>'$.T')::BIGINT * 1000) AS trade_time,
          make_timestamptz((o->>'$.T')::BIGINT * 1000) AS event_at
        FROM ({rows}) WHERE e = 'forceOrder'"""


DATASETS = (
    Dataset("binance_klines", "binance", "klines", _klines, VENUE, "binance archive", "venue symbol x interval x bar"),
    Dataset(
        "binance_index_klines", "binance", "index_klines", _klines, VENUE, "binance archive", "index x interval x bar"
    ),
    Dataset(
        "binance_book_depth", "binance", "book_depth", _book_depth, VENUE, "binance archive", "symbol x snapshot x band"
    ),
    Dataset(
        "binance_open_interest",
        "binance",
        "open_interest",
        _open_interest,
        VENUE,
        "binance rest",
        "symbol x period x time",
    ),
    Dataset("binance_funding", "binance", "funding", _funding, VENUE, "binance rest", "symbol x funding time"),
    Dataset(
        "binance_liquidations", "binance", "liquidations", _liquidations, VENUE, "binance stream", "one forced order"
    ),
)
