"""SQL that turns recorded messages into the shape of the raw entity ``liquidations``.

Each constant reads a relation ``{relation}`` with the columns ``file_number``, ``record``, ``received_at``, ``topic`` and
``message`` (text), and gives one row for each liquidation, with ``file_number`` and ``record`` of its message. What cannot be
read becomes NULL and the row stays, a message that is no liquidation at all included: the caller sets it aside with its
reason, nothing vanishes here.

``event_key`` is the same however often a venue sends an event, also after a reconnect, and differs between events as far as
the venue lets them be told apart:

- Binance: product, contract, order's time, side, quantity, price, accumulated quantity. At most one order a contract and
  second is pushed; the push time is left out, since one order may be pushed twice.
- Bybit: contract (no two markets share a name), push time and place in the push. One push may hold equal liquidations, which
  are then different ones.
- OKX: contract, time, sides, size, price, and a count of equal ones within one message.

Numbers stand as the venue wrote them: Binance COIN-M and OKX count contracts, Bybit inverse counts USD.
"""

SHAPE = (
    "file_number",
    "record",
    "feed",
    "product",
    "venue_symbol",
    "event_at",
    "event_time",
    "side",
    "quantity",
    "price",
    "filled_quantity",
    "average_price",
    "order_status",
    "method",
    "event_key",
)
"""Columns of the result, in order. ``event_at`` equals ``event_time``: it decides the day."""


def _number(text: str) -> str:
    """A finite number or NULL: DuckDB reads 'nan' and 'inf' as numbers, and they pass a check for >= 0."""
    value = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _milliseconds(text: str) -> str:
    return f"TRY(make_timestamptz(TRY_CAST({text} AS BIGINT) * 1000))"


def _select(columns: dict[str, str], source: str) -> str:
    chosen = ",\n  ".join(f"{columns.get(name, name)} AS {name}" for name in SHAPE)
    return f"SELECT\n  {chosen}\nFROM ({source})"


BINANCE = _select(
    {
        "feed": "'binance'",
        "venue_symbol": "placed->>'$.s'",
        "event_at": _milliseconds("placed->>'$.T'"),
        "event_time": _milliseconds("placed->>'$.T'"),
        "side": "lower(placed->>'$.S')",
        "quantity": _number("placed->>'$.q'"),
        "price": _number("placed->>'$.p'"),
        "filled_quantity": _number("placed->>'$.z'"),
        "average_price": _number("placed->>'$.ap'"),
        "order_status": "placed->>'$.X'",
        "method": "NULL::VARCHAR",
        "event_key": "array_to_string([product, placed->>'$.s', placed->>'$.T', placed->>'$.S', placed->>'$.q', placed->>'$.p', "
        "placed->>'$.z'], ':')",
    },
    # A message is one event; an array of events, as other streams of all markets have, is read too. st says the market since
    # the markets' integration of 2026-06-30; before it, this address pushed USD-M alone.
    """SELECT file_number, record, json_extract(event, '$.o') AS placed,
    CASE coalesce(event->>'$.st', event->>'$.o.st') WHEN '1' THEN 'um' WHEN '2' THEN 'cm'
      ELSE CASE WHEN json_exists(event, '$.o') AND NOT coalesce(json_exists(event, '$.st'), false)
        AND TRY_CAST(event->>'$.E' AS BIGINT) < epoch_ms(TIMESTAMPTZ '2026-06-30 00:00:00+00') THEN 'um' END END AS product
  FROM (
    SELECT file_number, record,
      unnest(CASE WHEN json_type(document) = 'ARRAY' AND json_array_length(document) > 0
        THEN json_extract(document, '$[*]') ELSE [document] END) AS event
    FROM (SELECT file_number, record, TRY_CAST(message AS JSON) AS document FROM {relation}))""",
)

BYBIT = _select(
    {
        "feed": "'bybit'",
        "venue_symbol": "item->>'$.s'",
        "event_at": _milliseconds("item->>'$.T'"),
        "event_time": _milliseconds("item->>'$.T'"),
        "side": "lower(item->>'$.S')",
        "quantity": _number("item->>'$.v'"),
        "price": _number("item->>'$.p'"),
        "filled_quantity": "NULL::DOUBLE",
        "average_price": "NULL::DOUBLE",
        "order_status": "NULL::VARCHAR",
        "method": "NULL::VARCHAR",
        "event_key": "CASE WHEN item IS NOT NULL THEN array_to_string([item->>'$.s', pushed, place::VARCHAR], ':') END",
    },
    # The message does not say its market: the topic under which it was received does, where that is known.
    """SELECT file_number, record, product, pushed, items[place] AS item, place
  FROM (
    SELECT *, unnest(range(1, len(items) + 1)) AS place
    FROM (
      SELECT file_number, record, document->>'$.ts' AS pushed,
        CASE WHEN split_part(topic, '/', 1) IN ('linear', 'inverse') THEN split_part(topic, '/', 1) END AS product,
        CASE WHEN starts_with(document->>'$.topic', 'allLiquidation.') AND json_type(document, '$.data') = 'ARRAY'
          THEN json_extract(document, '$.data[*]') ELSE [NULL::JSON] END AS items
      FROM (SELECT file_number, record, topic::VARCHAR AS topic, TRY_CAST(message AS JSON) AS document FROM {relation})))""",
)

OKX = _select(
    {
        "feed": "'okx'",
        "event_at": _milliseconds("filled->>'$.ts'"),
        "event_time": _milliseconds("filled->>'$.ts'"),
        # In hedge mode posSide is the position; in net mode it only says so, and the order's side tells what it closed.
        "side": "CASE lower(filled->>'$.posSide') WHEN 'long' THEN 'long' WHEN 'short' THEN 'short' "
        "WHEN 'net' THEN CASE lower(filled->>'$.side') WHEN 'buy' THEN 'short' WHEN 'sell' THEN 'long' END END",
        "quantity": _number("filled->>'$.sz'"),
        "price": _number("filled->>'$.bkPx'"),
        "filled_quantity": "NULL::DOUBLE",
        "average_price": "NULL::DOUBLE",
        "order_status": "NULL::VARCHAR",
        "method": "NULL::VARCHAR",
        "event_key": "CASE WHEN filled IS NOT NULL THEN identity || ':' || row_number() OVER "
        "(PARTITION BY file_number, record, identity ORDER BY place, seat) END",
    },
    """SELECT *, array_to_string([venue_symbol, filled->>'$.ts', filled->>'$.posSide', filled->>'$.side', filled->>'$.sz',
      filled->>'$.bkPx'], ':') AS identity
  FROM (
    SELECT file_number, record, product, venue_symbol, place, fills[seat] AS filled, seat
    FROM (
      SELECT *, unnest(range(1, len(fills) + 1)) AS seat
      FROM (
        SELECT file_number, record, place, lower(items[place]->>'$.instType') AS product,
          items[place]->>'$.instId' AS venue_symbol,
          CASE WHEN json_type(items[place], '$.details') = 'ARRAY'
            THEN json_extract(items[place], '$.details[*]') ELSE [NULL::JSON] END AS fills
        FROM (
          SELECT *, unnest(range(1, len(items) + 1)) AS place
          FROM (
            SELECT file_number, record,
              CASE WHEN document->>'$.arg.channel' = 'liquidation-orders' AND json_type(document, '$.data') = 'ARRAY'
                THEN json_extract(document, '$.data[*]') ELSE [NULL::JSON] END AS items
            FROM (SELECT file_number, record, TRY_CAST(message AS JSON) AS document FROM {relation}))))))""",
)

BY_FEED = {"binance": BINANCE, "bybit": BYBIT, "okx": OKX}


def liquidations(feed: str, relation: str) -> str:
    """The liquidations in recorded messages, as a SELECT.

    Args:
        feed: ``binance``, ``bybit`` or ``okx``.
        relation: Name of a table, or a query in parentheses, with the columns that the module describes.
    """
    return BY_FEED[feed].replace("{relation}", relation)
