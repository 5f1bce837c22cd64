"""Two files that cannot be read as they are, so that quarantine has something to show.

Both copy rows that stand elsewhere in the sample, so their loss changes nothing: a page of Bybit's daily bars that was cut short,
and a page with one bar whose high and low have changed places.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY

_CUT = 1500
"""Characters that are left of the first one."""


def write_faulty(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write both files under ``faulty/`` and return their number."""
    bars = f"""
        select symbol, k, [epoch_ms(day_at(k))::varchar, printf(pf, o), printf(pf, hi), printf(pf, lo), printf(pf, c),
            printf(qf, base), printf('%.2f', quote)] as bar
        from linear_day d join own_contract x on x.venue_id = d.venue_id and x.coin_id = d.coin_id and not x.is_inverse
        where venue = 'bybit' and base_asset = 'ETH' and k between {EVENT_DAY - 40} and {EVENT_DAY}"""
    page = """printf('{"retCode":0,"retMsg":"OK","result":{"symbol":"%s","category":"linear","list":', any_value(symbol))"""
    end = """'},"retExtInfo":{},"time":1767225600000}'"""
    return write_files(
        con,
        out,
        f"""
        with bars as ({bars})
        select 'faulty/bybit/v5/market/kline/ETHUSDT-D-cut.json',
            ({page} || to_json(list(bar order by k desc)) || {end})[:{_CUT}] from bars
        union all
        select 'faulty/bybit/v5/market/kline/ETHUSDT-D-swapped.json', {page} || to_json(list(
            [bar[1], bar[2], bar[4], bar[3], bar[5], bar[6], bar[7]])) || {end} from bars where k = {EVENT_DAY}
        order by 1""",
    )
