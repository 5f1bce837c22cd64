"""The scenario as DuckDB tables, by bound values, and its names against those of the book.

Tables ``scenario_*`` of `put_scenario` hold what does not change in a run; `put_now` sets what does, at the start of a
step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from dagster_project.replay.faults import Fault
from dagster_project.replay.scenario import TIERS, Scenario, Venue, move_at, score_bands

_RUN = {
    "step_seconds": "double",
    "steps": "integer",
    "law": "varchar",
    "coefficient": "double",
    "y": "double",
    "decay_per_second": "double",
    "max_displacement": "double",
    "depth_multiplier": "double",
    "depth_collapse": "double",
    "depth_floor": "double",
    "depth_recovery": "double",
    "own_book_weight": "double",
    "composite_lag_seconds": "double",
    "rehedge_seconds": "double",
    "top_up_below": "double",
    "top_up_to": "double",
}
_MARKET = {"scope": "varchar", "name": "varchar", "sigma": "double", "adv_usd": "double"}
_VENUE = {
    "venue": "varchar",
    "close": "varchar",
    "min_fraction": "double",
    "partial_above_usd": "double",
    "partial_times": "integer",
    "cooldown_seconds": "double",
    "backstop_ratio": "double",
    "fee_rate": "double",
    "fund_mode": "varchar",
    "fund_multiplier": "double",
    "adl_policy": "varchar",
    "adl_price": "varchar",
    "adl_trigger": "varchar",
    "adl_drawdown": "double",
    "adl_score": "varchar",
    "leverage_cap": "double",
    "price_band": "double",
    "unfilled": "varchar",
    "breaker_move": "double",
    "breaker_window_seconds": "double",
    "breaker_halt_seconds": "double",
}
_COLLATERAL = {"venue": "varchar", "asset": "varchar", "ratio": "double", "has_own_book": "boolean"}
_TRANSFER = {"source_venue": "varchar", "target_venue": "varchar", "seconds": "double"}
_SLOWDOWN = {"venue": "varchar", "from_seconds": "double", "to_seconds": "double", "extra_seconds": "double"}
_SHOCK = {"scope": "varchar", "name": "varchar", "log_move": "double"}
_OWN_BOOK = {"venue": "varchar", "asset": "varchar", "log_move": "double"}
_BAND = {
    "band_no": "integer",
    "event": "varchar",
    "metric": "varchar",
    "subject": "varchar",
    "low": "double",
    "high": "double",
    "source": "varchar",
}
_COLLATERAL_PRICE = {"venue": "varchar", "price": "varchar"}
_NOW = {
    "scenario_shock": _SHOCK,
    "scenario_own_book": _OWN_BOOK,
    "scenario_collateral_price": _COLLATERAL_PRICE,
}


def put(
    con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]
) -> None:
    """Make a small table of these rows.

    One statement with a list a column: row by row it would take ten times as long, and every step makes three tables.
    """
    con.execute(f"create or replace temp table {table} as {_unnested(columns)}", _lists(columns, rows))


def _unnested(columns: Mapping[str, str]) -> str:
    return f"select {', '.join(f'unnest(?::{kind}[]) as {name}' for name, kind in columns.items())}"


def _lists(columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]


def venues_of(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the venues of the loaded book, sorted."""
    return [str(row[0]) for row in con.execute("select distinct venue from book_contract order by venue").fetchall()]


# --- What does not change in a run ---


def _run_row(scenario: Scenario) -> list[object]:
    """Return the row of scenario_run."""
    impact, depth, mark, owners = scenario.impact, scenario.depth, scenario.mark, scenario.owners
    top_up_to = owners.top_up_to
    if top_up_to is None and owners.top_up_below is not None:
        top_up_to = 2 * owners.top_up_below
    return [
        scenario.clock.step_seconds,
        scenario.clock.steps,
        impact.law,
        impact.coefficient,
        impact.y,
        impact.decay_per_second,
        impact.max_displacement,
        depth.multiplier,
        depth.collapse,
        depth.floor,
        depth.recovery,
        mark.own_book_weight,
        mark.composite_lag_seconds,
        owners.rehedge_seconds,
        owners.top_up_below,
        top_up_to,
    ]


def _venue_row(name: str, rules: Venue, horizon: float) -> list[object]:
    """Return the row of scenario_venue; `horizon` is a time after the run, seconds."""
    close, adl, limits, breaker = rules.liquidation, rules.adl, rules.limits, rules.limits.circuit_breaker
    halts: tuple[object, object, object] = (None, None, None)
    if breaker is not None:
        # a window that reaches back beyond t0 compares with t0, however long it is: its steps stay a small integer
        halts = (breaker.move, min(breaker.window_seconds, horizon), breaker.halt_seconds)
    return [
        name,
        close.close,
        close.min_fraction,
        close.partial_above_usd,
        close.partial_times,
        close.cooldown_seconds,
        close.backstop_ratio,
        close.fee_rate,
        rules.fund.mode,
        rules.fund.multiplier,
        adl.policy,
        adl.price,
        adl.trigger,
        adl.drawdown,
        adl.score,
        limits.leverage_cap,
        limits.price_band,
        limits.unfilled,
        *halts,
    ]


def put_scenario(con: duckdb.DuckDBPyConnection, scenario: Scenario) -> None:
    """Put what the SQL needs of the scenario into small tables.

    Tables: ``scenario_run`` (one row), ``scenario_market``, ``scenario_venue`` (one row a venue of the book),
    ``scenario_collateral`` (assets that a venue names), ``scenario_transfer`` (every ordered pair of venues),
    ``scenario_slowdown``, ``scenario_asset_path`` (assets with a shock path of their own), ``scenario_band`` (of the event
    that it is held against).

    Args:
        con: connection with the book in ``book_*``.
        scenario: the validated scenario.
    """
    venues = venues_of(con)
    put(con, "scenario_run", _RUN, [_run_row(scenario)])
    markets = scenario.impact.markets.items()
    rows = [("all" if name == "all" else "name", name, market.sigma, market.adv_usd) for name, market in markets]
    put(con, "scenario_market", _MARKET, rows)
    horizon = scenario.clock.step_seconds * (scenario.clock.steps + 1)
    put(con, "scenario_venue", _VENUE, [_venue_row(name, scenario.venue(name), horizon) for name in venues])
    # USD to micro-USD rounded as the SQL rounds everywhere
    con.execute(
        "create or replace temp table scenario_venue as select * exclude (partial_above_usd), "
        "round(partial_above_usd * 1e6)::bigint as partial_above_micro from scenario_venue"
    )
    valued = [
        (name, asset, rules.ratio.get(asset, 1.0), asset in rules.own_book)
        for name in venues
        for rules in [scenario.venue(name).collateral]
        for asset in sorted({*rules.ratio, *rules.own_book})
    ]
    put(con, "scenario_collateral", _COLLATERAL, valued)
    durations = scenario.owners.transfer_seconds
    pairs = [(a, b, durations.get(f"{a}>{b}", durations["default"])) for a in venues for b in venues]
    put(con, "scenario_transfer", _TRANSFER, pairs)
    slow = [(w.venue, w.from_seconds, w.to_seconds, w.extra_seconds) for w in scenario.owners.slowdowns]
    put(con, "scenario_slowdown", _SLOWDOWN, slow)
    named = [] if scenario.driver() is not None else sorted(set(scenario.shock) - {"all", *TIERS})
    put(con, "scenario_asset_path", {"asset": "varchar"}, [(name,) for name in named])
    event = scenario.score
    bands = [] if event is None else score_bands(event)
    items = enumerate(bands, start=1)
    put(con, "scenario_band", _BAND, [(no, event, b.metric, b.subject, b.low, b.high, b.source) for no, b in items])


# --- What does ---


def shock_rows(scenario: Scenario, seconds: float) -> list[tuple[str, str, float]]:
    """Return (scope, name, log move) of the shock's paths at a time; scope is ``driver``, ``all`` or ``name``."""
    return scenario.moves_at(seconds)


def own_book_rows(scenario: Scenario, venues: Sequence[str], seconds: float) -> list[tuple[str, str, float]]:
    """Return (venue, asset, log move) of the collateral paths of the venues' own books at a time."""
    return [
        (name, asset, move_at(path, seconds))
        for name in venues
        for asset, path in sorted(scenario.venue(name).collateral.own_book.items())
    ]


def collateral_price_rows(scenario: Scenario, venues: Sequence[str], seconds: float) -> list[tuple[str, str]]:
    """Return (venue, ``index`` or ``own_book``): what each venue values collateral at, at a time."""
    return [(name, scenario.collateral_price_at(name, seconds)) for name in venues]


def put_now(
    con: duckdb.DuckDBPyConnection,
    scenario: Scenario,
    venues: Sequence[str],
    seconds: float | None,
    before: Mapping[str, Sequence[Sequence[object]]] | None = None,
) -> dict[str, Sequence[Sequence[object]]]:
    """Set ``scenario_shock``, ``scenario_own_book`` and ``scenario_collateral_price`` to a time.

    Args:
        con: connection to put them into.
        scenario: the validated scenario.
        venues: venues of the book (`venues_of`).
        seconds: time since t0; None is t0 before anything moved, with collateral at its index.
        before: rows that the tables hold; tables that are there are filled anew where they change, and none is made.

    Returns:
        The rows of each table.
    """
    rows: dict[str, Sequence[Sequence[object]]]
    if seconds is None:
        rows = {
            "scenario_shock": [],
            "scenario_own_book": [],
            "scenario_collateral_price": [(name, "index") for name in venues],
        }
    else:
        rows = {
            "scenario_shock": shock_rows(scenario, seconds),
            "scenario_own_book": own_book_rows(scenario, venues, seconds),
            "scenario_collateral_price": collateral_price_rows(scenario, venues, seconds),
        }
    for table, columns in _NOW.items():
        if before is None:
            put(con, table, columns, rows[table])
        elif rows[table] != before[table]:
            con.execute(f"delete from {table}")
            con.execute(f"insert into {table} {_unnested(columns)}", _lists(columns, rows[table]))
    return rows


# --- Names of the scenario in the book ---


class _Names:
    """Names of a loaded book.

    Args:
        con: connection with the book in ``book_*``.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        def column(query: str) -> set[str]:
            return {str(row[0]) for row in con.execute(query).fetchall()}

        self.venues = set(venues_of(con))
        self.assets = column("select distinct base_asset from book_contract")
        self.held = column("select distinct asset from book_collateral")
        # an asset may drive the shock that only the index knows
        self.drivers = self.assets | column("select distinct base_asset from book_index_weight")
        self.scopes = sorted(
            {(str(a), str(t)) for a, t in con.execute("select base_asset, tier from book_contract").fetchall()}
        )

    def say_venues(self, *more: str) -> str:
        """Return which venues can be named."""
        return f"name one of {', '.join([*sorted(self.venues), *more])}"

    @staticmethod
    def say_assets(assets: Iterable[str], *more: str) -> str:
        """Return which assets can be named."""
        return f"name one of {', '.join([*sorted(assets), *more])}"


def _fault(place: str, rule: str, remedy: str, count: int = 1) -> Fault:
    return Fault("scenario", place, rule, remedy, count)


def _shock_faults(scenario: Scenario, book: _Names) -> list[Fault]:
    """Check driver, or assets and tiers, of the shock."""
    driver = scenario.driver()
    if driver is not None:
        is_known = driver in book.drivers
        remedy = book.say_assets(book.drivers)
        return [] if is_known else [_fault("shock.driver", f"the book has no asset {driver}", remedy)]
    known = book.assets | book.held
    remedy = book.say_assets(known, *TIERS, "all")
    strays = sorted(set(scenario.shock) - {"all", *TIERS} - known)
    return [_fault(f"shock.{name}", "neither an asset of the book nor a tier", remedy) for name in strays]


def _market_faults(scenario: Scenario, book: _Names) -> list[Fault]:
    """Check the scopes of impact.markets, and that y finds one for every contract."""
    impact = scenario.impact
    remedy = book.say_assets(book.assets, *TIERS, "all")
    faults = [
        _fault(f"impact.markets.{name}", "neither an asset of the book nor a tier", remedy)
        for name in sorted(set(impact.markets) - {"all", *TIERS} - book.assets)
    ]
    if impact.y is None or "all" in impact.markets:
        return faults
    bare = sorted({asset for asset, tier in book.scopes if not {asset, tier} & set(impact.markets)})
    if bare:
        rule = f"no sigma and adv_usd for {', '.join(bare[:3])}{', ...' if len(bare) > 3 else ''}"
        faults.append(_fault("impact.markets", rule, "name the assets, their tiers or all", len(bare)))
    return faults


def _amount_faults(con: duckdb.DuckDBPyConnection, scenario: Scenario, book: _Names) -> list[Fault]:
    """Check collateral at price 1 that scenario or contracts make a coin: a coin's units count less of it."""
    coins = set(book.assets)
    if scenario.driver() is None:
        coins |= set(scenario.shock)
    for venue in scenario.venues.values():
        coins |= {*venue.collateral.ratio, *venue.collateral.own_book}
    rows = con.execute(
        "select account_id || ' ' || asset as key from book_collateral "
        "where price = 1 and abs(amount) > 9e10 and list_contains(?::varchar[], asset) order by key",
        [sorted(coins)],
    ).fetchall()
    place = ", ".join(str(row[0]) for row in rows[:3])
    return [Fault("collateral", place, "an amount beyond 9e10 of a coin", "check the unit", len(rows))] if rows else []


def _transfer_faults(scenario: Scenario, book: _Names) -> list[Fault]:
    """Check the venues of transfers and slowdowns."""
    pairs = {f"{source}>{target}" for source in book.venues for target in book.venues}
    faults = [
        _fault(f"owners.transfer_seconds.{pair}", 'not "venue>venue" of the book', book.say_venues())
        for pair in sorted(set(scenario.owners.transfer_seconds) - {"default"} - pairs)
    ]
    return faults + [
        _fault(f"owners.slowdowns[{number}].venue", "the book has no such venue", book.say_venues("all"))
        for number, slow in enumerate(scenario.owners.slowdowns)
        if slow.venue not in book.venues | {"all"}
    ]


def _depth_faults(con: duckdb.DuckDBPyConnection, scenario: Scenario) -> list[Fault]:
    """Check that the scenario leaves every contract a depth that can be computed with, as the book's own must be."""
    if scenario.impact.law != "linear":
        return []
    depth = scenario.depth

    def contracts(condition: str) -> list[str]:
        query = (
            f"select venue || ' ' || contract as key from (select venue, contract, depth * ? as depth, "
            f"coalesce(?, floor) as floor from book_depth) where {condition} order by key"
        )
        return [str(row[0]) for row in con.execute(query, [depth.multiplier, depth.floor]).fetchall()]

    faults = []
    if keys := contracts("not depth between 0.01 and 1e18"):
        rule = f"depth times multiplier must be >= 0.01 and <= 1e18 USD: {', '.join(keys[:3])}"
        faults.append(_fault("depth.multiplier", rule, "correct multiplier or the book's depth", len(keys)))
    if depth.collapse > 0 and (keys := contracts("depth * floor * 1e6 < 1")):
        rule = f"a collapse could leave no depth at all: {', '.join(keys[:3])}"
        remedy = "set depth.floor, or floor in the book's depth rows, above 0"
        faults.append(_fault("depth.collapse", rule, remedy, len(keys)))
    return faults


def book_faults_of_scenario(con: duckdb.DuckDBPyConnection, scenario: Scenario) -> list[Fault]:
    """Check a scenario against the loaded book: its names, and what it makes of the book's depth.

    Args:
        con: connection with a checked book in ``book_*``.
        scenario: the validated scenario.
    """
    book = _Names(con)
    faults = [
        _fault(f"venues.{name}", "the book has no such venue", book.say_venues())
        for name in sorted(set(scenario.venues) - {"default"} - book.venues)
    ]
    faults += _shock_faults(scenario, book) + _market_faults(scenario, book) + _depth_faults(con, scenario)
    faults += _amount_faults(con, scenario, book)
    return faults + _transfer_faults(scenario, book)


__all__ = [
    "book_faults_of_scenario",
    "collateral_price_rows",
    "own_book_rows",
    "put",
    "put_now",
    "put_scenario",
    "shock_rows",
    "venues_of",
]
