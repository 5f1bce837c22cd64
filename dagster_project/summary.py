"""The key results of a home, each with its source class, as `make demo` and `make real` end with them."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Column, Table

from dagster_project.lib.home import Home
from dagster_project.lib.publish import read_snapshot
from dagster_project.lib.query import open_published
from dagster_project.replay_summary import cell_text, show_replay


@dataclass(frozen=True)
class Question:
    """A question that the published tables answer."""

    title: str
    sql: str


QUESTIONS = (
    Question(
        "Exchange share, by year",
        "SELECT year(period_start) AS year, venue, round(volume_usd / 1e12, 2) AS volume_trillion_usd, "
        "round(100 * share, 1) AS share_percent, rank, round(100 * share_of_published, 1) AS percent_of_published, "
        "days_covered AS days, volume_basis, completeness, source_class FROM fct_exchange_share "
        "WHERE period_type = 'year' AND year(period_start) = 2025 QUALIFY row_number() OVER (ORDER BY rank) <= 12 "
        "OR venue = 'uncovered' ORDER BY year, rank",
    ),
    Question(
        "Liquidation tax of 2025 (all venues, all tiers)",
        "SELECT count(*) AS days, round(sum(liquidated_usd) / 1e9, 2) AS liquidated_billion_usd, "
        "round(1e4 * sum(liquidated_usd) / nullif(sum(volume_usd), 0), 3) AS tax_bps, "
        "round(100 * sum(liquidated_long_usd) / nullif(sum(liquidated_usd), 0), 1) AS long_percent, "
        "count(*) FILTER (regime = 'stress') AS stress_days, any_value(volume_venues) AS volume_of, "
        "string_agg(DISTINCT completeness, ', ' ORDER BY completeness) AS completeness, "
        "string_agg(DISTINCT source_class, ', ' ORDER BY source_class) AS source_class "
        "FROM fct_liquidation_tax WHERE venue = 'market' AND tier = 'all' AND year(tax_date) = 2025 HAVING count(*) > 0",
    ),
    Question(
        "10-11 October 2025: deepest fall of each tier against 20:50 UTC",
        "SELECT venue, tier, count(DISTINCT venue_symbol) AS contracts, "
        "any_value(interval_seconds) AS bar_seconds, round(100 * min(low_move_from_pre_event), 1) AS worst_percent, "
        "round(sum(liquidated_long_usd + liquidated_short_usd) / 1e9, 2) AS liquidated_billion_usd, "
        "any_value(source_class) AS source_class FROM fct_event_window "
        "WHERE event_id = '2025_10_10' AND close_price IS NOT NULL "
        "AND venue IN ('binance', 'bybit', 'hyperliquid') AND phase <> 'baseline' "
        "GROUP BY ALL ORDER BY ALL",
    ),
    Question(
        "10 October 2025, BTC in the hour of 21:00 UTC",
        "SELECT venue, venue_symbol, min(low_price) AS low, round(100 * min(low_move_from_pre_event), 2) AS move_percent, "
        "any_value(completeness) AS completeness, any_value(source_class) AS source_class FROM fct_event_window "
        "WHERE base_asset = 'BTC' "
        "AND bar_start_at >= TIMESTAMPTZ '2025-10-10 21:00:00+00' AND bar_start_at < TIMESTAMPTZ '2025-10-10 22:00:00+00' "
        "AND venue IN ('binance', 'bybit') GROUP BY ALL ORDER BY ALL",
    ),
    Question(
        "Published figures against the data",
        "SELECT status, count(*) AS figures, string_agg(figure_id, ', ' ORDER BY figure_id) "
        "FILTER (n <= 6 OR status <> 'not_computable') || CASE WHEN status = 'not_computable' THEN ', ...' ELSE '' END "
        "AS which FROM (SELECT *, row_number() OVER (PARTITION BY status ORDER BY figure_id) AS n FROM fct_reconciliation) "
        "GROUP BY status ORDER BY status",
    ),
)


def show(home: Home, console: Console) -> None:
    """Print the key results and where to look next."""
    for question in QUESTIONS:
        _ask(home, question.title, question.sql, console)
    snapshot = read_snapshot(home)
    if snapshot is not None and any(table.name == "stress_summary" for table in snapshot.tables):
        _ask(home, "Replay", "SELECT * EXCLUDE (scenario_hash, book_hash) FROM stress_summary", console, turned=True)
    console.print(
        f"\nPublished in {home.published} (DuckDB and Parquet). Next:\n"
        '  .venv/bin/delever query "SELECT * FROM fct_reconciliation"     ask in SQL\n'
        "  make ui                                                       the pipeline in Dagster's pages\n"
        "  .venv/bin/delever doctor                                      the state of this installation",
        markup=False,
        highlight=False,
    )


def _ask(home: Home, title: str, sql: str, console: Console, *, turned: bool = False) -> None:
    connection = open_published(home)
    try:
        relation = connection.sql(sql)
        names, rows = relation.columns, relation.fetchall()
    finally:
        connection.close()
    console.print(f"\n[bold]{title}[/bold]")
    if not rows:
        console.print("  no data for this question")
        return
    if turned:
        for row in rows:
            show_replay(dict(zip(names, row, strict=True)), console)
        return
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, header_style="dim")
    for row in rows:
        table.add_row(*(cell_text(value) for value in row))
    console.print(table)
