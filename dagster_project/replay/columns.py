"""What the result tables of a replay hold: grain and notes from the head of their SQL, and each column's unit and meaning."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from dagster_project.replay.output import STRESS_TABLES
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
STEP = Column("integer", "count", "Steps since the shock; step 0 is the fixpoint of the shock.")
LONG = Column("double", USD, f"Longs closed by force, {INDEX}.")
SHORT = Column("double", USD, f"Shorts closed by force, {INDEX}.")
DEFICIT = Column("double", USD, "What liquidated accounts could not pay.")
FUND_PAID = Column("double", USD, "Part of deficit_usd that the fund paid.")
SOCIALISED = Column("double", USD, "Part of deficit_usd that neither fund nor deleveraging covered.")
ADL = Column("double", USD, "Positions deleveraged against their owners' will; 0 under adl policy none.")
ADL_ACCOUNTS = Column("bigint", "count", "Accounts deleveraged; 0 under adl policy none.")
OI_BEFORE = Column("double", USD, f"One-sided open interest before the shock, {INDEX}.")
OI_AFTER = Column(
    "double", USD, f"One-sided open interest after the last round, {INDEX}: it changes by quantity closed alone."
)
ROUNDS = Column("bigint", "count", "Rounds of liquidations until no account was in breach; 0 without any.")
BRANCHING = Column(
    "double", "ratio", "Largest notional of a round over that of the round before it; 0 with fewer than two rounds."
)
TROUGH = "Largest move of a book price away from t0 among the contracts of tier {}; null without one."

STRESS_COLUMNS: dict[str, dict[str, Column]] = {
    "stress_outcome": {
        "venue": VENUE,
        "contract": CONTRACT,
        "tier": Column("varchar", "text", "Tier that the book gives the contract: major, mid or tail."),
        "shock_only_log_move": Column(
            "double", LOG, "Move of the index against t0: the shock without any liquidation."
        ),
        "trough_log_move": Column("double", LOG, "Move of the book price against t0 after the last round."),
        "overshoot": Column("double", LOG, "trough_log_move - shock_only_log_move: what forced flow added."),
        "amplification": Column(
            "double", "ratio", "trough_log_move / shock_only_log_move; null without a shock.", True
        ),
        "seconds_to_trough": Column("double", "seconds", "Time from the shock to the trough; 0 with steps 0."),
        "rounds_max": ROUNDS,
        "branching_ratio_max": BRANCHING,
        "depth_min": Column("double", LOG_DEPTH, "Depth of the book, after the scenario's multiplier, at its lowest."),
        "liquidated_long_usd": LONG,
        "liquidated_short_usd": SHORT,
        "liquidated_accounts": Column(
            "bigint", "count", "Accounts whose position in the contract was closed by force."
        ),
        "book_usd": Column("double", USD, f"Part of the liquidated that went through the book, {INDEX}."),
        "backstop_usd": Column("double", USD, "Part of the liquidated that the backstop took over; 0 without one."),
        "unfilled_usd": Column("double", USD, "Part of the liquidated that a price band left open; 0 without a band."),
        "deficit_usd": DEFICIT,
        "fund_paid_usd": FUND_PAID,
        "adl_usd": ADL,
        "adl_accounts": ADL_ACCOUNTS,
        "adl_haircut_usd": Column("double", USD, "What the deleveraged gave up; 0 under adl policy none."),
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
            "double", "USD per base asset", "Price that margin is checked at; the book price at own_book_weight 1."
        ),
        "displacement": Column(
            "double", LOG, "How far forced flow pushed the book below the index; negative in a squeeze."
        ),
        "depth": Column("double", LOG_DEPTH, "Depth of the book at the step, after the scenario's multiplier."),
        "liquidated_usd": Column("double", USD, f"Positions closed by force up to the step, both sides, {INDEX}."),
        "adl_usd": ADL,
        "open_interest_usd": Column("double", USD, f"One-sided open interest at the end of the step, {INDEX}."),
    },
    "stress_fund": {
        "venue": VENUE,
        "pool": Column(
            "varchar", "text", "Pool as the book names it; (none): the empty pool of a contract that no pool covers."
        ),
        "step": STEP,
        "balance_usd": Column(
            "double", USD, "Balance at the end of the step, after fees came in and deficits were paid."
        ),
        "paid_usd": Column("double", USD, "Deficits that the pool paid in the step."),
        "received_usd": Column("double", USD, "Liquidation fees that the pool received in the step."),
        "warehoused_usd": Column("double", USD, "Positions that the pool took over; 0: every breach goes to the book."),
    },
    "stress_adl": {
        "venue": VENUE,
        "contract": CONTRACT,
        "step": STEP,
        "account_id": Column("varchar", "text", "Account that is deleveraged."),
        "quantity": Column("double", "base assets", "Quantity that was closed, signed as the position."),
        "price": Column("double", "USD per base asset", "Price at which it was closed."),
        "haircut_usd": Column("double", USD, "What the owner gave up against the mark."),
        "score": Column("double", "number", "Score in the venue's queue; null where the policy has none.", True),
        "rank": Column("bigint", "count", "Place in the queue, 1 first; null where the policy has none.", True),
        "policy": Column("varchar", "text", "ADL policy that took it: queue, pro_rata, capped_pro_rata or risk_aware."),
    },
    "stress_owner": {
        "owner_id": Column("varchar", "text", "Owner of one or several accounts, as the book names it."),
        "base_asset": Column("varchar", "text", "Asset that the contracts are on."),
        "delta_before_usd": Column("double", USD, f"Net position over all accounts before the shock, signed, {INDEX}."),
        "delta_after_usd": Column(
            "double", USD, f"Net position over all accounts after the last round, signed, {INDEX}."
        ),
        "naked_usd_seconds": Column("double", "USD x seconds", "Lost hedge times the time without it; 0 with steps 0."),
        "naked_pnl_usd": Column("double", USD, "Gain (positive) or loss while the hedge was lost; 0 with steps 0."),
        "leg_lost_to": Column("varchar", "text", "liquidation or adl: what closed a leg; null if all were kept.", True),
        "equity_lost_usd": Column(
            "double",
            USD,
            "Equity before the shock at the t0 index less equity after it at the book price; negative: gained.",
        ),
        "cohort": Column(
            "varchar",
            "text",
            "maker: any leg is of a maker account; hedged: longs and shorts of the asset; else directional.",
        ),
        "transfers_late": Column("bigint", "count", "Transfers of collateral that came too late; 0 with steps 0."),
    },
    "stress_ledger": {
        "step": STEP,
        "i1_lots": Column(
            "bigint", "lots", "Residual, must be 0: positions, balance and maker's fills less lots closed."
        ),
        "i2_cash_micro_usd": Column(
            "bigint",
            "millionths of a USD",
            "Residual, must be 0: cash of all and funds, less socialised, against before.",
        ),
        "i3_deficit_micro_usd": Column(
            "bigint",
            "millionths of a USD",
            "Residual, must be 0: deficit less what the fund paid and what was socialised.",
        ),
        "i5_lots": Column(
            "bigint", "lots", "Residual, must be 0: lots closed beyond what the account held on that side."
        ),
        "i6_fills": Column(
            "bigint", "count", "Residual, must be 0: fills though no index moved and every account was solvent."
        ),
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
        "socialised_usd": SOCIALISED,
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
        "spectral_radius": Column("double", "number", "Not computed: null.", True),
        "score": Column("double", "fraction", "Not computed: null.", True),
    },
}


def columns_of(table: str) -> dict[str, Column]:
    """Columns of a result table, in their order."""
    return RUN | STRESS_COLUMNS[table]


def head_of(table: str) -> tuple[str, str]:
    """Grain, and units and notes, of a result table, from the comment that its SQL begins with."""
    (name,) = (name for name in sql_names() if name.endswith(table.removeprefix("stress")))
    head = load_sql(name).partition("\ncreate ")[0]
    comment = " ".join(" ".join(re.findall(r"^-- ?(.*)$", head, flags=re.MULTILINE)).split())
    grain, _, notes = comment.removeprefix("Grain: ").partition(" Units: ")
    return _sentence(grain), _sentence(notes)


def comments() -> Iterator[tuple[str, str | None, str]]:
    """Table, column (None: the table itself) and what a reader of the warehouse should be told of it."""
    for table in STRESS_TABLES:
        grain, notes = head_of(table)
        yield table, None, f"{grain} Units: {notes}"
        for name, column in columns_of(table).items():
            yield table, name, column.comment


def _sentence(words: str) -> str:
    """Begin with a capital, unless it is a name such as i1."""
    return words if re.match(r"\w\d", words) else words[:1].upper() + words[1:]
