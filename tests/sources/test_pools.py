"""A pool keeps its name while the list of its contracts grows: one series on each side of a new listing."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest
from asking import Row, land, raw_rows

from dagster_project.lib.home import Home
from dagster_project.sources.dataset import build_raw
from dagster_project.sources.pools import pool_name
from dagster_project.sources.registry import FEEDS

DAY = date(2025, 10, 10)
MS = int(datetime(2025, 10, 10, 20, tzinfo=UTC).timestamp() * 1000)
SHARED, SMALL, OWN = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"], ["DOGEUSDT", "WIFUSDT"], ["PEPEUSDT"]
NEW = "0GUSDT"
"""Sorts before every other contract."""


def bybit(pools: Sequence[Sequence[str]]) -> Any:
    rows = [{"coin": "USDT", "symbols": ",".join(pool), "balance": f"{len(pool)}", "value": "1"} for pool in pools]
    return {"retCode": 0, "result": {"updatedTime": str(MS), "list": rows}}


def bitget(pools: Sequence[Sequence[str]]) -> Any:
    rows = [{"coin": "USDT", "symbols": list(pool), "balance": f"{len(pool)}"} for pool in pools]
    return {"code": "00000", "data": {"list": rows}}


def binance(pools: Sequence[Sequence[str]]) -> Any:
    held = ("USDT", "BNB")
    return [
        {
            "symbols": list(pool),
            "assets": [{"asset": asset, "marginBalance": f"{len(pool)}", "updateTime": MS} for asset in held],
        }
        for pool in pools
    ]


VENUES = {
    "bybit": (bybit, "all", "USDT:"),
    "bitget": (bitget, "usdt_futures", "USDT:"),
    "binance": (binance, "um", ""),
}


def read(home: Home, venue: str, *answers: Sequence[Sequence[str]]) -> list[Row]:
    """Raw rows of answers of one venue, an hour apart."""
    page, product, _ = VENUES[venue]
    feed = FEEDS[venue, "insurance_funds"]
    for number, pools in enumerate(answers):
        context = {"product": product, "asked_at_ms": str(MS + number * 3_600_000)}
        land(home, feed, "insurance_funds", {f"{number}.json": page(pools)}, (DAY, DAY), **context)
    intake = build_raw(feed.dataset, home, DAY, DAY)
    assert intake.quarantined == 0, intake.reasons
    return raw_rows(home, feed)


@pytest.mark.parametrize("venue", VENUES)
def test_a_new_listing_joins_the_series_of_its_pool(home: Home, venue: str) -> None:
    prefix = VENUES[venue][2]
    rows = read(
        home, venue, [SHARED, SMALL, OWN], [[NEW, *SHARED], SMALL, OWN], [[NEW, *SHARED], [*SMALL, "ZKUSDT"], OWN]
    )
    covered = {
        name: list(dict.fromkeys(row["covered_symbols"] for row in rows if row["venue_symbol"] == prefix + name))
        for name in ("shared", "DOGEUSDT", "PEPEUSDT")
    }
    assert {row["venue_symbol"] for row in rows} == {prefix + name for name in covered}
    assert covered == {
        "shared": ["ADAUSDT,BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT", "0GUSDT,ADAUSDT,BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT"],
        "DOGEUSDT": ["DOGEUSDT,WIFUSDT", "DOGEUSDT,WIFUSDT,ZKUSDT"],
        "PEPEUSDT": ["PEPEUSDT"],
    }
    balances = {row["balance"] for row in rows if row["venue_symbol"] == f"{prefix}shared"}
    assert balances == {5, 6}, "both answers are one series"


def test_the_order_of_a_list_is_no_other_pool(home: Home) -> None:
    rows = read(home, "bybit", [["WIFUSDT", "DOGEUSDT"], SHARED], [["DOGEUSDT", "WIFUSDT"], SHARED])
    assert {(row["venue_symbol"], row["covered_symbols"]) for row in rows if row["balance"] == 2} == {
        ("USDT:DOGEUSDT", "DOGEUSDT,WIFUSDT")
    }


def test_an_answer_of_before_pools_had_lists_is_the_shared_one(home: Home) -> None:
    (row,) = read(home, "bybit", [[]])
    assert (row["venue_symbol"], row["covered_symbols"]) == ("USDT:shared", None)


@pytest.mark.parametrize(
    ("pools", "names"),
    [
        pytest.param([["A", "B"]], ["shared"], id="alone"),
        pytest.param([["A"]], ["A"], id="alone with one contract"),
        pytest.param([["B", "A"], ["D", "C"]], ["A", "C"], id="exactly half is not the most"),
        pytest.param([["B", "A"], ["C"]], ["shared", "C"], id="two of three"),
        pytest.param([["B", "A"], ["C"], ["D"]], ["A", "C", "D"], id="two of four"),
        pytest.param([["A", "B"], ["C"], ["A", "B"]], ["shared", "C", "shared"], id="a pool said twice counts once"),
        pytest.param([["A", "B"], None], ["shared", None], id="one without a list beside another has no name"),
        pytest.param([None], ["shared"], id="alone without a list"),
    ],
)
def test_names(pools: list[list[str] | None], names: list[str | None]) -> None:
    table = " UNION ALL ".join(
        f"SELECT {number} AS n, {pool or 'NULL'}::VARCHAR[] AS s" for number, pool in enumerate(pools)
    )
    found = duckdb.sql(f"SELECT {pool_name('s', '1')} FROM ({table}) ORDER BY n").fetchall()
    assert [name for (name,) in found] == names
