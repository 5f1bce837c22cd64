"""Pools that venues describe by their contracts keep their names when contracts are listed."""

import duckdb

from dagster_project.sources.pools import named_pools


def names(*pools: list[str] | None) -> list[str]:
    """Names that the pools of one answer get, in the order given."""
    rows = ", ".join(f"(7, {number}, {symbols or 'NULL'})" for number, symbols in enumerate(pools))
    query = named_pools(f"SELECT * FROM (VALUES {rows}) AS pools(file_number, number, symbols)", "")
    return [row[0] for row in duckdb.sql(f"SELECT pool_name FROM ({query}) ORDER BY number").fetchall()]


def test_a_new_listing_changes_no_name() -> None:
    before = [["ETH", "BTC", "SOL"], ["XRP", "DOGE"], ["ADA"]]
    assert names(*before) == ["shared", "DOGE+", "ADA"]
    assert names(["ETH", "BTC", "SOL", "AAVE"], ["XRP", "DOGE"], ["ADA"]) == ["shared", "DOGE+", "ADA"]
    assert names(["ETH", "BTC", "SOL"], ["XRP", "DOGE", "ZEC"], ["ADA"], ["NEW"]) == ["shared", "DOGE+", "ADA", "NEW"]


def test_a_pool_without_contracts_is_the_shared_one() -> None:
    assert names(None, ["ADA"]) == ["shared", "ADA"]


def test_answers_and_coins_are_told_apart() -> None:
    pools = "(1, 'A', ['X', 'Y']), (1, 'B', ['U', 'V', 'W']), (2, 'A', ['K', 'L'])"
    query = named_pools(f"SELECT * FROM (VALUES {pools}) AS pools(file_number, coin, symbols)", "coin")
    assert duckdb.sql(f"SELECT DISTINCT pool_name FROM ({query})").fetchall() == [("shared",)]
