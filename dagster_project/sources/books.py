"""Order books as venues answer them, turned into cumulative depth at fixed distances from mid."""

from dagster_project.sources.feed import BANDS_PERCENT


def depth_rows(levels: str, snapshots: str | None = None) -> str:
    """SQL of the raw shape ``depth`` from price levels.

    Args:
        levels: SELECT of file_number, record, observed_at, product, venue_symbol, side (``bid``, ``ask``), price, quantity; one
            row a level, of one snapshot per file and record.
        snapshots: SELECT of file_number, record, observed_at, product, venue_symbol; one row a snapshot, read or not.

    Returns:
        A SELECT with one row per snapshot and band; ``is_floor`` where the levels end inside the band. Of ``snapshots`` without
        bids or asks one row without a band, so that it is set aside and does not vanish.
    """
    bands = ", ".join(f"({band})" for band in BANDS_PERCENT)
    bare = f"""
        UNION ALL
        SELECT file_number, record, observed_at, observed_at AS event_at, product, venue_symbol, NULL, NULL, NULL, NULL, NULL
        FROM ({snapshots}) AS snapshots ANTI JOIN
          (SELECT file_number, record FROM books WHERE best_bid IS NOT NULL AND best_ask IS NOT NULL) AS whole
          USING (file_number, record)"""
    return f"""
        WITH levels AS MATERIALIZED ({levels}),
        books AS (
          SELECT file_number, record, observed_at, product, venue_symbol,
            max(price) FILTER (side = 'bid') AS best_bid, min(price) FILTER (side = 'ask') AS best_ask,
            min(price) FILTER (side = 'bid') AS last_bid, max(price) FILTER (side = 'ask') AS last_ask
          FROM levels WHERE quantity > 0 GROUP BY ALL
        )
        SELECT books.file_number, books.record, books.observed_at, books.observed_at AS event_at, books.product,
          books.venue_symbol, CASE sides.side WHEN 'bid' THEN -bands.band ELSE bands.band END AS percentage,
          coalesce(sum(levels.quantity), 0) AS quantity, coalesce(sum(levels.quantity * levels.price), 0) AS notional,
          CASE sides.side WHEN 'bid' THEN best_bid ELSE best_ask END AS best_price,
          CASE sides.side WHEN 'bid' THEN last_bid > (best_bid + best_ask) / 2 * (1 - bands.band / 100)
            ELSE last_ask < (best_bid + best_ask) / 2 * (1 + bands.band / 100) END AS is_floor
        FROM books CROSS JOIN (VALUES {bands}) AS bands(band) CROSS JOIN (VALUES ('bid'), ('ask')) AS sides(side)
        LEFT JOIN levels ON levels.file_number = books.file_number AND levels.record = books.record
          AND levels.side = sides.side AND levels.quantity > 0
          -- Not as a ratio of prices: rounding would push a level on the edge out of its band.
          AND levels.price BETWEEN (best_bid + best_ask) / 2 * (1 - bands.band / 100)
            AND (best_bid + best_ask) / 2 * (1 + bands.band / 100)
        WHERE best_bid IS NOT NULL AND best_ask IS NOT NULL
        GROUP BY ALL{bare if snapshots else ""}"""
