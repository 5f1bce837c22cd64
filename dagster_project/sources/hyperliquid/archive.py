"""Hyperliquid's requester-pays buckets: every fill of the chain by the hour, and the context of every contract by the minute.

Documentation: hyperliquid.gitbook.io/hyperliquid-docs, historical data: updated about once a month, "data may be missing". The
regions, the first days and the form of the lines are as third parties found them: the first fills are of 2025-05-25
(``node_fills``, a fill a line), ``node_fills_by_block`` (a block a line) follows in the course of 2025-07-27. Files go by the
time at which a block was processed, so a day's last fills may be in the next day's first file.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from dagster_project.fetch.client import Client, NotThereError
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.s3 import Bucket, StoredObject, approve, fetch_object, find, link_or_copy
from dagster_project.fetch.tasks import Piece, Task
from dagster_project.sources.batch import Batch, Refused, epoch, number
from dagster_project.sources.feed import Ask
from dagster_project.sources.hyperliquid.rest import product_of

CAP_VARIABLE = "DELEVER_HYPERLIQUID_S3_MAX_USD"


def _bucket(name: str, region: str) -> Bucket:
    return Bucket(name, region, Host("hyperliquid_s3", f"https://s3.{region}.amazonaws.com", ((100, 1.0),)))


NODE_DATA = _bucket("hl-mainnet-node-data", "ap-northeast-1")
CONTEXTS = _bucket("hyperliquid-archive", "us-east-1")

BY_BLOCK, BY_FILL = "node_fills_by_block", "node_fills"
MAX_HOUR_BYTES = 16 * 1024**3
"""Text of the fills of an hour: some hundred MiB on most days, and many times as much in a crash."""

HANDOVER = (date(2025, 7, 26), date(2025, 7, 29))
"""Days in which both forms are looked for: the hour of the change is not documented."""


def fills_tasks(what: str) -> Callable[[Ask], Iterable[Task]]:
    """Tasks of all fills, one an hour, the first hour of the day after included.

    Args:
        what: What is read out of them, for people.
    """

    def tasks(ask: Ask) -> Iterable[Task]:
        hours = [(day, hour) for day in ask.days for hour in range(24)] + [(ask.end + timedelta(days=1), 0)]
        wanted = {f"fills-{day:%Y%m%d}-{hour:02}": (day, hour) for day, hour in hours}
        missing = {name: hour for name, hour in wanted.items() if name not in ask.landed}
        keys = {
            name: [f"{form}/hourly/{day:%Y%m%d}/{hour}.lz4" for form in _forms(day)]
            for name, (day, hour) in missing.items()
        }
        objects = _bought(ask, NODE_DATA, keys, f"hyperliquid {what} {ask.start} to {ask.end}")
        for name, (day, hour) in missing.items():
            first = day - timedelta(days=1) if hour == 0 else day
            yield _task(ask, name, (first, day), "archive_node_fills", objects.get(name))

    return tasks


def contexts_tasks(ask: Ask) -> Iterable[Task]:
    """Tasks of all contexts, one a day."""
    wanted = {f"contexts-{day:%Y%m%d}": day for day in ask.days}
    missing = {name: day for name, day in wanted.items() if name not in ask.landed}
    keys = {name: [f"asset_ctxs/{day:%Y%m%d}.csv.lz4"] for name, day in missing.items()}
    objects = _bought(ask, CONTEXTS, keys, f"hyperliquid open interest {ask.start} to {ask.end}")
    for name, day in missing.items():
        yield _task(ask, name, (day, day), "archive_asset_ctxs", objects.get(name), suffix=".csv.lz4")


def _forms(day: date) -> tuple[str, ...]:
    if day < HANDOVER[0]:
        return (BY_FILL,)
    return (BY_BLOCK,) if day > HANDOVER[1] else (BY_BLOCK, BY_FILL)


def _bought(ask: Ask, bucket: Bucket, keys: dict[str, list[str]], what: str) -> dict[str, StoredObject]:
    """Objects to be paid for, by task, once their cost is within the cap: those that are not at hand already.

    Raises:
        UsageError: The cost is above the cap, or the account's keys are missing.
    """
    dear = {name: forms for name, forms in keys.items() if name not in ask.at_hand}
    if not dear:
        return {}
    found = find(bucket, [key for forms in dear.values() for key in forms])
    objects = {
        name: next(found[key] for key in forms if key in found)
        for name, forms in dear.items()
        if any(key in found for key in forms)
    }
    approve(list(objects.values()), CAP_VARIABLE, what)
    return objects


def _task(
    ask: Ask, name: str, days: Sequence[date], reader: str, wanted: StoredObject | None, *, suffix: str = ".lz4"
) -> Task:
    at_hand = ask.at_hand.get(name)

    def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
        file = f"{name}{suffix}"
        if at_hand is not None and at_hand.file is not None:
            yield replace(at_hand, file=link_or_copy(at_hand.file, scratch, file))
        elif wanted is not None:
            yield fetch_object(client, wanted, scratch, file)
        else:
            raise NotThereError(f"{name} is not in the bucket (yet).")

    return Task(name, days[0], days[1], reader, {}, pieces)


_FIELDS = (
    '{"coin": "VARCHAR", "px": "VARCHAR", "sz": "VARCHAR", "side": "VARCHAR", "time": "VARCHAR", "dir": "VARCHAR", '
    '"closedPnl": "VARCHAR", "tid": "VARCHAR", "liquidation": {"liquidatedUser": "VARCHAR", "method": "VARCHAR"}}'
)
_SPOT = "starts_with(fill.coin, '@') OR contains(fill.coin, '/')"
_OWN = "lower(account) = lower(fill.liquidation.liquidatedUser)"


def _legs(batch: Batch) -> str:
    """Single fills: an account and what it had of a trade. Each trade is there twice, once for each account."""
    lines = batch.json_lines(limit=MAX_HOUR_BYTES)
    is_fill = "json_type(item) = 'ARRAY' AND json_array_length(item) = 2"
    is_block = "json_type(item) = 'OBJECT' AND coalesce(json_type(item, '$.events'), '') = 'ARRAY'"
    for number_, record, text in batch.connection.execute(
        f"SELECT file_number, record, left(item::VARCHAR, 2000) FROM {lines} "
        f"WHERE NOT coalesce(({is_fill}) OR ({is_block}), false) ORDER BY 1, 2"
    ).fetchall():
        batch.refused.append(Refused(number_, record, "neither a block of fills nor a fill", text))
    return batch.derive(f"""
        SELECT file_number, leg->>0 AS account, from_json(leg->1, '{_FIELDS}') AS fill FROM (
          SELECT file_number, unnest(CASE WHEN {is_fill} THEN [item]
            WHEN {is_block} THEN from_json(item->'$.events', '["JSON"]') END) AS leg FROM {lines})""")


def _fills(table: str, excluded: str, columns: str) -> str:
    """SELECT of legs; of the many that are left out, nothing but the day is worked out."""
    return f"""
        SELECT file_number, record, {product_of("fill.coin")} AS product, fill.coin AS venue_symbol, excluded,
          CASE WHEN excluded IS NULL THEN {epoch("fill.time")}
            ELSE make_timestamptz(TRY_CAST(fill.time AS BIGINT) * 1000) END AS event_at,
          CASE WHEN excluded IS NULL THEN {epoch("fill.time")} END AS event_time,
          CASE fill.side WHEN 'A' THEN 'long' WHEN 'B' THEN 'short' END AS side,
          CASE WHEN excluded IS NULL THEN {number("fill.sz")} END AS quantity,
          CASE WHEN excluded IS NULL THEN {number("fill.px")} END AS price, {columns}
        FROM (SELECT *, {excluded} AS excluded FROM {table})"""


def read_liquidations(batch: Batch) -> str:
    """The legs of liquidated accounts: selling (A) closes a long, buying (B) a short. A trade's number is the identity."""
    excluded = f"""CASE WHEN {_SPOT} THEN 'spot'
      WHEN fill.coin IS NOT NULL AND fill.liquidation.liquidatedUser IS NULL THEN 'fill of no liquidation'
      WHEN NOT ({_OWN}) THEN 'other leg of a liquidation' END"""
    return _fills(_legs(batch), excluded, "fill.liquidation.method AS method, fill.tid AS event_key")


def read_adl_fills(batch: Batch) -> str:
    """The legs of accounts whose positions were reduced to cover others; the covered account's leg is a liquidation."""
    excluded = f"""CASE WHEN {_SPOT} THEN 'spot'
      WHEN fill.coin IS NOT NULL AND fill.dir IS DISTINCT FROM 'Auto-Deleveraging' THEN 'fill of no auto-deleveraging'
      WHEN {_OWN} THEN 'leg of the liquidated account' END"""
    closed = f"CASE WHEN excluded IS NULL THEN {number('fill.closedPnl')} END AS closed_pnl"
    return _fills(_legs(batch), excluded, f"{closed}, account, fill.tid || ':' || account AS event_key")


CONTEXT_COLUMNS = (
    "time",
    "coin",
    "funding",
    "open_interest",
    "prev_day_px",
    "day_ntl_vlm",
    "premium",
    "oracle_px",
    "mark_px",
    "mid_px",
    "impact_bid_px",
    "impact_ask_px",
)


def read_open_interest(batch: Batch) -> str:
    """Open interest by the minute; times are written as ISO 8601, in UTC."""
    table = batch.csv(CONTEXT_COLUMNS, is_named=True)
    at = 'TRY_CAST("time" AS TIMESTAMPTZ)'
    return f"""
        SELECT file_number, record, {product_of("coin")} AS product, coin AS venue_symbol, {at} AS event_at,
          {at} AS observed_at, 0 AS period_seconds, {number("open_interest")} AS open_interest
        FROM {table}"""
