"""Which parts of the sample span the year: the others have the event's days alone, and a run of theirs need not plan a year."""

from datetime import date

YEAR_LONG = frozenset(
    {
        (feed, entity)
        for feed in ("binance", "bybit")
        for entity in ("klines", "funding", "open_interest", "liquidations")
    }
    | {("bitget", "liquidations")}
)
"""Feed and entity of the datasets with rows outside ``AROUND_EVENT``."""

AROUND_EVENT = (date(2025, 10, 10), date(2025, 10, 12))
"""First and last day of all others."""
