"""Bybit v5 linear contracts: REST pages (newest first, inclusive edges) and the allLiquidation stream.

Documentation: bybit-exchange/docs, docs/v5. A page with a non-zero ``retCode`` is an error inside HTTP 200 and is refused.
"""

from dagster_project.lib.errors import DataError
from dagster_project.sources.dataset import Batch, Dataset

VENUE = "bybit"

_INTERVAL = r"regexp_extract(landed.landing_path, '-([0-9]+|[DWM]|[0-9]+(?:min|h|d))-[0-9]+\.json', 1)"


def _pages(batch: Batch, items: str) -> str:
    """The items of the pages' lists, after a look at each page's own word on its success."""
    result = f"STRUCT(symbol VARCHAR, list {items}[])"
    batch.json_pages({"retCode": "INTEGER", "retMsg": "VARCHAR", "result": result}, "unstructured")
    refused = batch.connection.execute(
        "SELECT landing_path, retCode, retMsg FROM pages JOIN landed USING (file_number) WHERE retCode IS DISTINCT FROM 0 LIMIT 5"
    ).fetchall()
    if refused:
        places = "\n".join(f"  {path}: retCode {code} ({message})" for path, code, message in refused)
        raise DataError(f"Bybit answered with an error inside a page; remove these files and ingest again:\n{places}")
    return (
        "SELECT file_number, landing_path, result.symbol AS symbol, unnest(result.list) AS item "
        "FROM pages JOIN landed USING (file_number)"
    )


def _klines(batch: Batch) -> str:
    return f"""
        SELECT file_number, symbol AS venue_symbol, {_INTERVAL.replace("landed.", "")} AS interval,
          make_timestamptz(item[1]::BIGINT * 1000) AS open_time, make_timestamptz(item[1]::BIGINT * 1000) AS event_at,
          item[2]::DOUBLE AS open, item[3]::DOUBLE AS high, item[4]::DOUBLE AS low, item[5]::DOUBLE AS close,
          item[6]::DOUBLE AS volume, item[7]::DOUBLE AS turnover
        FROM ({_pages(batch, "VARCHAR[]")})"""


def _open_interest(batch: Batch) -> str:
    return f"""
        SELECT file_number, symbol AS venue_symbol, {_INTERVAL.replace("landed.", "")} AS interval,
          make_timestamptz(item.timestamp::BIGINT * 1000) AS timestamp,
          make_timestamptz(item.timestamp::BIGINT * 1000) AS event_at, item.openInterest::DOUBLE AS open_interest
        FROM ({_pages(batch, "STRUCT(openInterest VARCHAR, timestamp VARCHAR)")})"""


def _funding(batch: Batch) -> str:
    return f"""
        SELECT file_number, item.symbol AS venue_symbol, item.fundingRate::DOUBLE AS funding_rate,
          make_timestamptz(item.fundingRateTimestamp::BIGINT * 1000) AS funding_time,
          make_timestamptz(item.fundingRateTimestamp::BIGINT * 1000) AS event_at
        FROM ({_pages(batch, "STRUCT(symbol VARCHAR, fundingRate VARCHAR, fundingRateTimestamp VARCHAR)")})"""


def _liquidations(batch: Batch) -> str:
    # JSON and not a struct: the item has both s (symbol) and S (side), and names in a struct are case-insensitive.
    rows = batch.json_pages({"topic": "VARCHAR", "data": "JSON[]"}, "newline_delimited")
    return f"""
        SELECT file_number, item->>'$.s' AS venue_symbol, item->>'$.S' AS position_side, (item->>'$.v')::DOUBLE AS size,
          (item->>'$.p')::DOUBLE AS bankruptcy_price, make_timestamptz((item->>'$.T')::BIGINT * 1000) AS event_time,
          make_timestamptz((item->>'$.T')::BIGINT * 1000) AS event_at
        FROM (SELECT file_number, unnest(data) AS item FROM ({rows}) WHERE topic LIKE 'allLiquidation.%')"""


DATASETS = (
    Dataset("bybit_klines", "bybit", "klines", _klines, VENUE, "bybit rest", "venue symbol x interval x bar"),
    Dataset("bybit_index_klines", "bybit", "index_klines", _klines, VENUE, "bybit rest", "index x interval x bar"),
    Dataset(
        "bybit_open_interest", "bybit", "open_interest", _open_interest, VENUE, "bybit rest", "symbol x interval x time"
    ),
    Dataset("bybit_funding", "bybit", "funding", _funding, VENUE, "bybit rest", "symbol x funding time"),
    Dataset("bybit_liquidations", "bybit", "liquidations", _liquidations, VENUE, "bybit stream", "one liquidation"),
)
