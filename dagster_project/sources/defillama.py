"""DefiLlama's free API: open interest of perpetual exchanges on chain, one value a day and exchange, in USD.

Documentation: github.com/DefiLlama/api-docs (openapi); volumes of derivatives need its paid API and are not read. The whole
history is one answer. Exchanges are named as DefiLlama calls them; its slugs become venues, ``hyperliquid-perps`` being
``hyperliquid_perps``: they cover other ranges than a venue's own feed and are not mixed with it.
"""

from collections.abc import Iterable, Iterator

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.tasks import Task
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.feed import Ask, Cadence, Feed, paged

NAME = "defillama"
HOST = Host("defillama", "https://api.llama.fi", ((60, 60.0),))
DAY_SECONDS = 86400


def _tasks(ask: Ask) -> Iterable[Task]:
    params = {"excludeTotalDataChart": "true", "excludeTotalDataChartBreakdown": "false"}

    def pages(client: Client) -> Iterator[Page]:
        return paging.whole(lambda: client.get(HOST, "/overview/open-interest", params))

    yield paged("all", ask, "open_interest", {"product": "aggregate", "period_seconds": DAY_SECONDS}, pages)


def _read(batch: Batch) -> str:
    """A value a day and exchange. A day carries the time at which it begins; the one that is running is left out."""
    whole = batch.json_whole()
    chart = "$.totalDataChartBreakdown"
    is_list = f"coalesce(json_type(item, '{chart}'), '') = 'ARRAY'"
    for (file_number,) in batch.connection.execute(f"SELECT file_number FROM {whole} WHERE NOT {is_list}").fetchall():
        batch.refuse_file(file_number, f"no list at {chart}")
    odd = f"len(list_filter(from_json(item->'{chart}', '[\"JSON\"]'), day -> coalesce(json_type(day, '$[1]'), '') <> 'OBJECT'))"
    for file_number, days in batch.connection.execute(
        f"SELECT file_number, {odd} FROM {whole} WHERE {is_list} AND {odd} > 0"
    ).fetchall():
        batch.refuse_file(file_number, f"{days} entries of {chart} are no day with its values")
    # Each day is [time, {name: USD, ...}]; the names are those of the list beside it, which has the slugs.
    table = batch.derive(f"""
        WITH days AS (SELECT file_number, unnest(from_json(item->'{chart}', '[["JSON"]]')) AS day FROM {whole} WHERE {is_list}),
        listed AS (SELECT file_number, unnest(from_json(item->'$.protocols',
          '[{{"name": "VARCHAR", "displayName": "VARCHAR", "slug": "VARCHAR"}}]')) AS entry FROM {whole} WHERE {is_list}),
        slugs AS (SELECT file_number, name, any_value(entry.slug) AS slug
          FROM (SELECT file_number, entry, unnest([entry.name, entry.displayName]) AS name FROM listed) GROUP BY ALL),
        named AS (SELECT file_number, day[1]->>'$' AS day, unnest(json_keys(day[2])) AS name, day[2] AS usd FROM days)
        SELECT file_number, day, name, slug,
          json_extract_string(usd, '$."' || replace(name, '"', '\\"') || '"') AS usd
        FROM named LEFT JOIN slugs USING (file_number, name)
        ORDER BY file_number, day, name""")
    at = epoch("r.day")
    return f"""
        SELECT file_number, record,
          trim(regexp_replace(lower(coalesce(r.slug, r.name)), '[^a-z0-9]+', '_', 'g'), '_') AS venue, 'ALL' AS venue_symbol,
          {at} AS event_at, {at} AS observed_at, {DAY_SECONDS} AS period_seconds, {number("r.usd")} AS open_interest,
          CASE WHEN {at} + to_seconds({DAY_SECONDS}) > landed.ingested_at THEN 'day still running' END AS excluded
        FROM {table} AS r JOIN landed USING (file_number)"""


FEEDS = (
    Feed(
        name=NAME,
        entity="open_interest",
        readers={"open_interest": _read},
        origins={"rest": _tasks},
        mode="history",
        cadence=Cadence.DAY,
        licence="DefiLlama: free API, attribution to defillama.com",
        venue=None,
        labels={"open_interest": "defillama rest"},
        completeness="partial",
        has_contracts=False,
        caution="Whole exchanges, no contracts: USD as each exchange's adapter counts it, at the end of the day that is named. "
        "Who counts one side and who both is not stated.",
    ),
)
