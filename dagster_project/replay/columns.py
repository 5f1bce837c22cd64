"""What the result tables of a replay hold: grain and notes from the head of their SQL, and each column's unit and meaning."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from dagster_project.replay.output import REVERSE_TABLE, STRESS_TABLES, SWEEP_TABLE
from dagster_project.replay.sqlfiles import load_sql, sql_names


class Column(NamedTuple):
    """A column of a ``stress_*`` table.

    Attributes:
        kind: DuckDB type.
        unit: What a number counts, as docs/naming.md has it; what else it is otherwise.
        meaning: One sentence or two.
        nullable: Whether a row may leave it out.
    """

    kind: str
    unit: str
    meaning: str
    nullable: bool = False

    @property
    def comment(self) -> str:
        """Meaning and unit in one line."""
        return self.meaning if self.unit == "text" else f"{self.meaning} Unit: {self.unit}."


USD, LOG, LOG_DEPTH = "USD", "natural log", "USD per unit of log price"
INDEX = "valued at the t0 index"

RUN = {
    "run_id": Column(
        "varchar", "text", "16 hex digits made from scenario_hash and book_hash: the same inputs, the same id."
    ),
    "scenario": Column("varchar", "text", "Name of the scenario."),
    "scenario_hash": Column("varchar", "text", "SHA-256 of the scenario with its defaults."),
    "book_hash": Column(
        "varchar", "text", "SHA-256 of the book's content, whatever the order of its rows and its file format."
    ),
    "source_class": Column("varchar", "text", "What the book says of itself: measured, estimated or synthetic."),
}
"""In every table, in front of its own columns."""

VENUE = Column("varchar", "text", "Venue name as the book writes it.")
CONTRACT = Column("varchar", "text", "Contract name as the book writes it.")
STEP = Column("integer", "count", "Steps of the clock; step 0 is the shock at 0 seconds, after its rounds.")
ROUND = Column("integer", "count", "Round within the step, from 1; 0: before the first.")
LONG = Column("double", USD, f"Longs closed by force, {INDEX}.")
SHORT = Column("double", USD, f"Shorts closed by force, {INDEX}.")
DEFICIT = Column("double", USD, "What liquidated accounts could not pay.")
FUND_PAID = Column("double", USD, "Part of deficit_usd that the fund paid.")
SOCIALISED = Column("double", USD, "Part of deficit_usd that neither fund nor deleveraging covered.")
ADL = Column("double", USD, f"Positions deleveraged against their owners' will, {INDEX}; 0 under adl policy none.")
HAIRCUT = Column("double", USD, "What the deleveraged gave up against the mark.")
ADL_OVERSHOOT = Column(
    "double",
    USD,
    f"Part of adl_usd beyond the lots that carry what the fund missed, {INDEX}: inventory that is called goes whole.",
)
HAIRCUT_OVERSHOOT = Column(
    "double",
    USD,
    "Part of adl_haircut_usd beyond what was missing: with so much less the pool were not below 0 either.",
)
INVERSIONS = Column(
    "bigint",
    "count",
    "Winners whom a haircut left with less than another candidate of the contract and round who had less before; once a round.",
)
INVERTED = Column("double", USD, "By how much they were left with less, summed over adl_inversions.")
ADL_ACCOUNTS = Column("bigint", "count", "Accounts deleveraged; 0 under adl policy none.")
OI_BEFORE = Column("double", USD, f"One-sided open interest before the shock, {INDEX}.")
OI_AFTER = Column(
    "double", USD, f"One-sided open interest after the last round, {INDEX}: it changes by quantity closed alone."
)
ROUNDS = Column("bigint", "count", "Largest number of rounds with liquidations in one step; 0 without any.")
BRANCHING = Column(
    "double",
    "ratio",
    "Largest notional of a round over that of the round before it in its step; 0 with fewer than two rounds.",
)
TROUGH = "Largest move of a book price away from t0 among the contracts of tier {}; null without one."

STRESS_COLUMNS: dict[str, dict[str, Column]] = {
    "stress_outcome": {
        "venue": VENUE,
        "contract": CONTRACT,
        "tier": Column("varchar", "text", "Tier that the book gives the contract: major, mid or tail."),
        "shock_only_log_move": Column(
            "double", LOG, "Move of the index against t0 at the time of the trough: the shock without any liquidation."
        ),
        "trough_log_move": Column("double", LOG, "Largest move of the book price away from t0 at the end of a step."),
        "overshoot": Column("double", LOG, "trough_log_move - shock_only_log_move: what forced flow added."),
        "amplification": Column(
            "double", "ratio", "trough_log_move / shock_only_log_move; null without a shock.", True
        ),
        "seconds_to_trough": Column("double", "seconds", "Time from t0 to the trough."),
        "rounds_max": ROUNDS,
        "branching_ratio_max": BRANCHING,
        "depth_min": Column("double", LOG_DEPTH, "Depth of the book, after multiplier and collapse, at its lowest."),
        "liquidated_long_usd": LONG,
        "liquidated_short_usd": SHORT,
        "liquidated_accounts": Column(
            "bigint", "count", "Accounts whose position in the contract was closed by force."
        ),
        "book_usd": Column("double", USD, f"Part of the liquidated that went through the book, {INDEX}."),
        "backstop_usd": Column(
            "double",
            USD,
            f"Part of the liquidated that a fund took over because equity fell below the backstop ratio, {INDEX}.",
        ),
        "unfilled_usd": Column(
            "double",
            USD,
            f"Part of the liquidated that the book could not fill within its limits and a fund took over, {INDEX}.",
        ),
        "deficit_usd": DEFICIT,
        "fund_paid_usd": FUND_PAID,
        "adl_usd": ADL,
        "adl_accounts": ADL_ACCOUNTS,
        "adl_haircut_usd": HAIRCUT,
        "adl_overshoot_usd": ADL_OVERSHOOT,
        "adl_haircut_overshoot_usd": HAIRCUT_OVERSHOOT,
        "adl_inversions": INVERSIONS,
        "adl_inverted_usd": INVERTED,
        "socialised_usd": SOCIALISED,
        "open_interest_before_usd": OI_BEFORE,
        "open_interest_after_usd": OI_AFTER,
        "balanced_usd": Column(
            "double", USD, f"Signed position that the maker took before the shock, so that longs equal shorts, {INDEX}."
        ),
    },
    "stress_path": {
        "venue": VENUE,
        "contract": CONTRACT,
        "step": STEP,
        "seconds": Column("double", "seconds", "Time since the shock."),
        "index_price": Column("double", "USD per base asset", "Price of the index after the shock."),
        "book_price": Column(
            "double", "USD per base asset", "Price of the venue's book: index_price x exp(-displacement)."
        ),
        "mark_price": Column(
            "double", "USD per base asset", "Price that margin is checked at, of own book and composite."
        ),
        "index_log_move": Column("double", LOG, "Move of the index against t0."),
        "book_log_move": Column("double", LOG, "Move of the venue's book against t0: index_log_move - displacement."),
        "displacement": Column(
            "double", LOG, "How far forced flow pushed the book below the index; negative in a squeeze."
        ),
        "depth": Column("double", LOG_DEPTH, "Depth of the book in the step, after multiplier and collapse."),
        "liquidated_usd": Column("double", USD, f"Positions closed by force up to the step, both sides, {INDEX}."),
        "adl_usd": Column("double", USD, f"Positions deleveraged up to the step, {INDEX}."),
        "adl_overshoot_usd": Column("double", USD, "As in stress_outcome, up to the step."),
        "adl_inversions": Column("bigint", "count", "As in stress_outcome, up to the step."),
        "open_interest_usd": Column("double", USD, f"One-sided open interest at the end of the step, {INDEX}."),
    },
    "stress_fund": {
        "venue": VENUE,
        "pool": Column(
            "varchar", "text", "Pool as the book names it; (none): the empty pool of a contract that no pool covers."
        ),
        "step": STEP,
        "balance_usd": Column(
            "double",
            USD,
            "Wallet at the end of the step: cash, and what warehoused positions cost when they were taken over.",
        ),
        "paid_usd": Column(
            "double", USD, "Deficits that the pool paid in the step, and losses of positions that it closed."
        ),
        "received_usd": Column(
            "double",
            USD,
            "Liquidation fees, what was left of accounts taken over, and gains of positions that it closed, in the step.",
        ),
        "adl_haircut_usd": Column("double", USD, "What haircuts of the deleveraged brought the pool in the step."),
        "adl_haircut_overshoot_usd": HAIRCUT_OVERSHOOT,
        "warehoused_usd": Column("double", USD, "Positions that the pool holds, at the mark, both sides."),
    },
    "stress_adl": {
        "venue": VENUE,
        "contract": CONTRACT,
        "step": STEP,
        "account_id": Column("varchar", "text", "Account that is deleveraged."),
        "quantity": Column("double", "base assets", "Quantity that was closed, signed as the position."),
        "price": Column(
            "double",
            "USD per base asset",
            "Price at which it was closed: the mark less the haircut, over the step's rounds.",
        ),
        "haircut_usd": Column("double", USD, "What the owner gave up against the mark."),
        "score": Column(
            "double", "number", "Score in the venue's queue, or weight of a policy that shares; larger ones give more."
        ),
        "rank": Column("bigint", "count", "Place in the queue, 1 first; of a policy that shares by what was taken."),
        "policy": Column("varchar", "text", "ADL policy that took it: queue, pro_rata, capped_pro_rata or risk_aware."),
        "rounds": Column("bigint", "count", "Rounds of the step in which it was; score and rank are of the first."),
    },
    "stress_event": {
        "event_no": Column("bigint", "count", "Place of the event in the run, from 1."),
        "step": Column("integer", "count", "Step of the clock; -1: before it, where a leverage cap cut positions."),
        "seconds": Column("double", "seconds", "Time since t0."),
        "round": ROUND,
        "kind": Column(
            "varchar",
            "text",
            "book: liquidated in the book; backstop, unfilled: taken over by a fund; deficit: owed after the last fill; adl: "
            "deleveraged; rehedge: traded back by the owner; transfer_out, transfer_in: cash between accounts; leverage_cap.",
        ),
        "venue": VENUE,
        "contract": Column("varchar", "text", "Contract name as the book writes it; null for a transfer.", True),
        "account_id": Column("varchar", "text", "Account that it happened to."),
        "owner_id": Column("varchar", "text", "Owner of the account."),
        "quantity": Column("double", "base assets", "Quantity that was closed, signed as the position.", True),
        "notional_usd": Column("double", USD, f"Notional of the quantity, {INDEX}."),
        "price": Column("double", "USD per base asset", "Price of the fill, the takeover or the deleveraging.", True),
        "value_usd": Column(
            "double", USD, "What the quantity brought at that price before fees and haircuts, or what was sent."
        ),
        "fee_usd": Column("double", USD, "Liquidation fee."),
        "haircut_usd": Column("double", USD, "What the owner gave up against the mark."),
        "deficit_usd": Column("double", USD, "What the account could not pay."),
        "left_to_fund_usd": Column("double", USD, "What was left of the account and went to the fund."),
        "policy": Column("varchar", "text", "ADL policy; null unless the kind is adl.", True),
    },
    "stress_owner": {
        "owner_id": Column("varchar", "text", "Owner of one or several accounts, as the book names it."),
        "base_asset": Column("varchar", "text", "Asset that the contracts are on."),
        "delta_before_usd": Column("double", USD, f"Net position over all accounts before the shock, signed, {INDEX}."),
        "delta_after_usd": Column(
            "double", USD, f"Net position over all accounts after the last round, signed, {INDEX}."
        ),
        "naked_usd_seconds": Column(
            "double",
            "USD x seconds",
            "Delta that differs from that before, without its sign, times the time that it lasted; 0 unless hedged.",
        ),
        "naked_pnl_usd": Column(
            "double", USD, "Gain (positive) or loss of that delta with the index; 0 unless hedged."
        ),
        "leg_lost_to": Column("varchar", "text", "liquidation or adl: what closed a leg; null if all were kept.", True),
        "equity_lost_usd": Column(
            "double",
            USD,
            "Value of the positions at the t0 index less what they brought and are worth at the last mark; negative: gained.",
        ),
        "cohort": Column(
            "varchar",
            "text",
            "maker: any leg is of a maker account; hedged: longs and shorts of the asset; else directional.",
        ),
        "transfers_late": Column("bigint", "count", "Transfers that arrived when the account had no position left."),
    },
    "stress_ledger": {
        "step": STEP,
        "i1_lots": Column("bigint", "lots", "Residual, must be 0: sum over contracts of the absolute sum of all lots."),
        "i2_cash_micro_usd": Column(
            "bigint",
            "millionths of a USD",
            "Residual, must be 0: cash of all accounts and funds, in transit and sent outside, less socialised, against t0.",
        ),
        "i2_coin_units": Column(
            "bigint", "1e-8 coins", "Residual, must be 0: coins of all and sold outside, against t0."
        ),
        "i3_deficit_micro_usd": Column(
            "bigint",
            "millionths of a USD",
            "Residual, must be 0: wallets of the pools against fees, gains, deficits, haircuts and what was socialised.",
        ),
        "i3_needless": Column(
            "bigint",
            "count",
            "Residual, must be 0: something was socialised though every call for deleveraging was served.",
        ),
        "i4_slices": Column(
            "bigint",
            "count",
            "Residual, must be 0: slices beyond a position, of the wrong side, at a loss, or more than asked.",
        ),
        "i5_fills": Column("bigint", "count", "Residual, must be 0: fills beyond what the account held on that side."),
        "i6_fills": Column(
            "bigint", "count", "Residual, must be 0: events though nothing moved and every account was solvent."
        ),
    },
    "stress_score": {
        "event": Column("varchar", "text", "Event that the scenario is held against."),
        "metric": Column("varchar", "text", "What is compared; docs/method_replay.md defines each."),
        "subject": Column(
            "varchar", "text", "Venue, asset, tier or bound that the metric is of; all: of the whole run."
        ),
        "value": Column("double", "fraction", "What the run gives; a count or seconds where the metric says so.", True),
        "low": Column("double", "fraction", "Lower bound of the band, inclusive; in the unit of value."),
        "high": Column("double", "fraction", "Upper bound of the band, inclusive; in the unit of value."),
        "is_met": Column("boolean", "text", "Whether the value lies in the band."),
        "source": Column("varchar", "text", "Where the band is from, and what of it is our choice."),
    },
    "stress_summary": {
        "contracts": Column("bigint", "count", "Contracts of the book."),
        "positions": Column("bigint", "count", "Positions of the book that are not flat."),
        "liquidated_usd": Column("double", USD, f"Positions closed by force, both sides, {INDEX}."),
        "liquidated_long_usd": LONG,
        "liquidated_short_usd": SHORT,
        "liquidated_positions": Column("bigint", "count", "Positions closed by force."),
        "liquidated_accounts": Column("bigint", "count", "Accounts with a position closed by force."),
        "deficit_usd": DEFICIT,
        "fund_paid_usd": FUND_PAID,
        "adl_usd": ADL,
        "adl_accounts": ADL_ACCOUNTS,
        "adl_haircut_usd": HAIRCUT,
        "adl_overshoot_usd": ADL_OVERSHOOT,
        "adl_haircut_overshoot_usd": HAIRCUT_OVERSHOOT,
        "adl_inversions": INVERSIONS,
        "adl_inverted_usd": INVERTED,
        "socialised_usd": SOCIALISED,
        "hedged_owners": Column(
            "bigint", "count", "Owners with longs and shorts of one asset, over all their accounts."
        ),
        "hedges_lost_to_liquidation": Column(
            "bigint", "count", "Their hedges (owner and asset) that lost a leg to liquidation first."
        ),
        "hedges_lost_to_adl": Column("bigint", "count", "Their hedges that lost a leg to deleveraging first."),
        "naked_after_usd": Column(
            "double", USD, f"Deltas of hedges at the end against those before, absolute values summed, {INDEX}."
        ),
        "naked_usd_seconds": Column(
            "double", "USD seconds", "Naked deltas of hedges times the time that they were carried, summed."
        ),
        "naked_pnl_usd": Column(
            "double", USD, "What the naked deltas gained or lost with the index while they were carried."
        ),
        "fees_usd": Column("double", USD, "Liquidation fees that the funds received."),
        "fund_before_usd": Column("double", USD, "Balances of all pools before the shock."),
        "fund_after_usd": Column("double", USD, "Balances of all pools after fees came in and deficits were paid."),
        "trough_major_log_move": Column("double", LOG, TROUGH.format("major"), True),
        "trough_mid_log_move": Column("double", LOG, TROUGH.format("mid"), True),
        "trough_tail_log_move": Column("double", LOG, TROUGH.format("tail"), True),
        "rounds_max": ROUNDS,
        "branching_ratio_max": BRANCHING,
        "open_interest_before_usd": OI_BEFORE,
        "open_interest_after_usd": OI_AFTER,
        "balanced_usd": Column(
            "double", USD, f"Positions that makers took before the shock, absolute values summed, {INDEX}."
        ),
        "spectral_radius": Column(
            "double",
            "number",
            "Largest over the assets of the spectral radius of what forced flow at each venue does to the marks of all, "
            "a secant over the run: 1 and above is explosive.",
            True,
        ),
        "score": Column(
            "double",
            "fraction",
            "Share of stress_score's bands that the run met; null where the scenario names no event.",
            True,
        ),
    },
}


_OF_SEARCH = {
    "scenario": RUN["scenario"],
    "book_hash": RUN["book_hash"],
    "source_class": RUN["source_class"],
}
SEARCH_COLUMNS: dict[str, dict[str, Column]] = {
    SWEEP_TABLE: {
        "sweep_id": Column("varchar", "text", "16 hex digits made from the ids of the sweep's runs."),
        **_OF_SEARCH,
        "run_no": Column("integer", "count", "Place of the run in the sweep, from 1."),
        "run_id": Column("varchar", "text", "Run in the other tables; runs of one meaning share it."),
        "scenario_hash": RUN["scenario_hash"],
        "parameter": Column("varchar", "text", "Dotted key of the scenario that the run sets, or what_if."),
        "value": Column("varchar", "text", "What it is set to, as JSON; a name as it is."),
        "fault": Column("varchar", "text", "Why the run failed: it has no rows elsewhere; null if it did not.", True),
    },
    REVERSE_TABLE: {
        "reverse_id": Column("varchar", "text", "16 hex digits made from scenario, book and search."),
        **_OF_SEARCH,
        "outcome": Column("varchar", "text", "What was looked for: one of `delever reverse --list`."),
        "unit": Column("varchar", "text", "Unit of value and outcome_limit."),
        "outcome_limit": Column("double", "number", "The outcome happens above it."),
        "multiplier": Column("double", "number", "Factor on the scenario's shock."),
        "shock_log_move": Column("double", LOG, "Largest move of the shock's paths at that factor, signed."),
        "value": Column("double", "number", "The outcome's number; null if the replay failed.", True),
        "is_beyond": Column(
            "boolean", "text", "Whether value is above outcome_limit; null if the replay failed.", True
        ),
        "bracket": Column(
            "varchar",
            "text",
            "below, beyond: the tried factors between which the outcome first happens; null for the others.",
            True,
        ),
        "run_id": Column("varchar", "text", "Id of the replay with shock_multiplier at that factor; it is not stored."),
        "scenario_hash": RUN["scenario_hash"],
        "fault": Column("varchar", "text", "Why the replay failed; null if it did not.", True),
    },
}
"""Tables that are not of a single run."""


def columns_of(table: str) -> dict[str, Column]:
    """Columns of a result table, in their order."""
    return SEARCH_COLUMNS[table] if table in SEARCH_COLUMNS else RUN | STRESS_COLUMNS[table]


def head_of(table: str) -> tuple[str, str]:
    """Grain, and units and notes, of a result table, from the comment that its SQL begins with."""
    if table in SEARCH_COLUMNS:
        name = f"{table.removeprefix('stress_')}/{table}"
    else:
        (name,) = (name for name in sql_names() if name.endswith(table.removeprefix("stress")))
    head = load_sql(name).partition("\ncreate ")[0]
    comment = " ".join(" ".join(re.findall(r"^-- ?(.*)$", head, flags=re.MULTILINE)).split())
    grain, _, notes = comment.removeprefix("Grain: ").partition(" Units: ")
    return _sentence(grain), _sentence(notes)


def comments() -> Iterator[tuple[str, str | None, str]]:
    """Table, column (None: the table itself) and what a reader of the warehouse should be told of it."""
    for table in (*STRESS_TABLES, *SEARCH_COLUMNS):
        grain, notes = head_of(table)
        yield table, None, f"{grain} Units: {notes}"
        for name, column in columns_of(table).items():
            yield table, name, column.comment


def _sentence(words: str) -> str:
    """Begin with a capital, unless it is a name such as i1."""
    return words if re.match(r"\w\d", words) else words[:1].upper() + words[1:]
