"""Parameters that both kinds of book share, as DuckDB tables."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from dagster_project.replay.books.parameters import Betas, Depth
from dagster_project.replay.scenario import TIERS
from dagster_project.replay.scenario_tables import put


def put_parameters(
    con: duckdb.DuckDBPyConnection, table: str, own: Mapping[str, float | None], depth: Depth, beta: Betas
) -> None:
    """Make a one-row table of numbers, ``tier_parameter`` (tier, beta, depth_share) and ``asset_beta`` (asset, beta).

    Args:
        con: where to make them.
        table: name of the one-row table.
        own: its columns beside those of depth: refill_multiple, recovery (1/s), floor.
        depth: depth of books.
        beta: betas of contracts.
    """
    row = {
        **own,
        "refill_multiple": depth.refill_multiple,
        "recovery": depth.recovery,
        "floor": depth.floor,
    }
    put(con, table, dict.fromkeys(row, "double"), [list(row.values())])
    shares = depth.share_of_open_interest
    tiers = [(tier, getattr(beta, tier), getattr(shares, tier)) for tier in TIERS]
    put(con, "tier_parameter", {"tier": "varchar", "beta": "double", "depth_share": "double"}, tiers)
    put(con, "asset_beta", {"asset": "varchar", "beta": "double"}, list(beta.assets.items()))
