"""Rules that marts must meet before they are published: volume, distribution and agreement between tables.

Structure is pandera's and keys are dbt's; what stands here is what only shows in aggregates. Each figure is one SQL aggregate
over a mart, and each bound says why it is there. A figure without a value (a table without rows) passes unless ``required``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One aggregate and its bounds (inclusive).

    Args:
        name: Column of the frame that Great Expectations sees, and name in the Data Docs.
        sql: Scalar SQL expression over the mart.
        low: Least value, or None.
        high: Largest value, or None.
        why: What a value outside means.
        required: A missing value fails too.
    """

    name: str
    sql: str
    low: float | None
    high: float | None
    why: str
    required: bool = False


GATE: dict[str, tuple[Rule, ...]] = {
    "fct_exchange_share": (
        Rule(
            "largest_gap_of_share_sum",
            "(SELECT max(abs(total - 1)) FROM (SELECT sum(share) AS total FROM marts.fct_exchange_share "
            "WHERE share IS NOT NULL GROUP BY period_type, period_start))",
            0,
            1e-9,
            "shares of one period do not add up to the whole",
        ),
        Rule("least_volume_usd", "min(volume_usd)", 0, None, "a negative volume"),
        Rule(
            "peak_to_median_day",
            "max(volume_usd) FILTER (period_type = 'day') / nullif(median(volume_usd) FILTER (period_type = 'day'), 0)",
            1,
            10_000,
            "one day dwarfs all others by more than any market did: a unit was confused",
        ),
        Rule(
            "largest_year_to_days_gap",
            "(SELECT max(abs(y.volume_usd / nullif(d.volume_usd, 0) - 1)) FROM marts.fct_exchange_share AS y JOIN ("
            "SELECT venue, date_trunc('year', period_start) AS year, sum(volume_usd) AS volume_usd "
            "FROM marts.fct_exchange_share WHERE period_type = 'day' GROUP BY ALL) AS d "
            "ON y.venue = d.venue AND y.period_start = d.year WHERE y.period_type = 'year')",
            0,
            1e-9,
            "a year is not the sum of its days",
        ),
        Rule(
            "largest_gap_to_published_total",
            "(SELECT max(abs(total / published_total_usd - 1)) FROM (SELECT sum(volume_usd) AS total, "
            "max(published_total_usd) AS published_total_usd, "
            "count(volume_usd) FILTER (venue = 'uncovered') AS rests FROM marts.fct_exchange_share "
            "WHERE published_total_usd IS NOT NULL GROUP BY period_type, period_start) WHERE rests > 0)",
            0,
            1e-9,
            "the covered venues and the uncovered rest are not the published total",
        ),
        Rule(
            "largest_share_of_published",
            "max(share_of_published)",
            0,
            1.5,
            "one venue traded far more than was published of all of them: a unit was confused",
        ),
    ),
    "fct_liquidation_tax": (
        Rule("least_tax_bps", "min(tax_bps)", 0, None, "a negative tax"),
        Rule(
            "largest_tax_bps",
            "max(tax_bps)",
            None,
            5_000,
            "more than half of a day's volume was liquidation: numerator and denominator do not belong together",
        ),
        Rule("least_long_share", "min(long_share)", 0, 1, "a share below 0 or above 1"),
        Rule("largest_long_share", "max(long_share)", 0, 1, "a share below 0 or above 1"),
        Rule(
            "largest_gap_of_sides",
            "max(abs(liquidated_long_usd + liquidated_short_usd - liquidated_usd) / nullif(liquidated_usd, 0))",
            0,
            1e-9,
            "long and short do not add up",
        ),
    ),
    "fct_event_window": (
        Rule(
            "share_of_bars_out_of_order",
            "avg((low_price > least(open_price, close_price) OR high_price < greatest(open_price, close_price))::INT)",
            0,
            0,
            "a bar whose low or high does not bound it",
        ),
        Rule("deepest_move", "min(low_move_from_pre_event)", -1, 0.5, "a price at or below zero"),
        Rule("largest_basis_bps", "max(abs(basis_bps))", 0, 10_000, "index and contract are not the same asset"),
    ),
    "fct_reconciliation": (
        Rule("figures", "count(*)", 20, None, "published figures are missing from the seed", required=True),
        Rule(
            "matches_of_synthetic_data",
            "count(*) FILTER (status = 'match' AND source_class = 'synthetic')",
            0,
            0,
            "a sample that was calibrated to a figure cannot confirm it",
            required=True,
        ),
    ),
    "dim_venue": (Rule("venues", "count(*)", 1, None, "no venue is known", required=True),),
}
