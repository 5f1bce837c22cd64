"""The replay's clock: which SQL file runs when, by what the files before it found."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from dagster_project.replay import sqlfiles
from dagster_project.replay.faults import Fault, ReplayError, ReplayInputError
from dagster_project.replay.plans import Plans
from dagster_project.replay.scenario import Scenario
from dagster_project.replay.scenario_tables import put_now

_PLANNED = (  # noqa: SIM905 - read in lines, not one name a line
    "30_step 33_accrue 32_arrival 62_apply 40_mark 34_still 37_halt 36_round 42_too_far 43_passed 44_wake 45_active "
    "50_margin 53_slack 54_alarm 55_breach 56_fraction 57_order 58_rehedge 60_fill 61_check 63_taken 65_takeover 64_held "
    "66_funds 67_purse 70_call 71_called 72_candidates 75_deleverage 80_settle 84_rise 85_step_end 89_invariants 86_naked "
    "87_request 88_transfer"
).split()
"""Files of a step and its rounds, each after those whose tables it reads."""


class Clock:
    """Drives the steps and rounds: which SQL file runs when, by how many rows the files before it found.

    Args:
        con: connection with the book and the scenario's tables.
        scenario: the validated scenario.
        progress: called with (step, steps) after every step.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, scenario: Scenario, progress: Callable[[int, int], None] | None
    ) -> None:
        self.con = con
        self.scenario = scenario
        self.progress = progress
        self.venues = [str(row[0]) for row in con.execute("select venue from scenario_venue order by venue").fetchall()]

    def build(self, *names: str) -> None:
        """Run SQL files in order, once."""
        for name in names:
            self.con.execute(sqlfiles.load_sql(name))

    def any(self, query: str) -> bool:
        """Return whether a query has a row."""
        return self.con.execute(f"select 1 from {query} limit 1").fetchone() is not None

    def set_time(self, step: int, round_no: int = 0) -> None:
        """Set the clock's one row."""
        seconds = step * self.scenario.clock.step_seconds
        self.con.execute("update replay_clock set step = ?, seconds = ?, round = ?", [step, seconds, round_no])

    def prepare(self) -> None:
        """Make the state at t0: units, legs, funds; cut what a leverage cap forbids."""
        self.con.execute(
            "create or replace temp table replay_clock as select 0 as step, 0::double as seconds, 0 as round"
        )
        self.now = put_now(self.con, self.scenario, self.venues, None)
        self.build("05_macros", "10_contract", "15_unit", "20_position", "28_start", "30_step", "35_moves", "40_mark")
        self.build("27_everyone", "50_margin")
        if self.any("scenario_venue where leverage_cap is not null"):
            self.build("25_leverage_cap", "62_apply", "27_everyone", "50_margin")
        self.build("26_calm", "29_hedge", "53_slack", "31_alarm", "39_rest")
        self.has_hedges = self.any("replay_hedge")
        self.has_breakers = self.any("scenario_venue where breaker_move is not null")
        self.has_partial = self.any("scenario_venue where close = 'partial'")
        self.has_policy = self.any("scenario_venue where adl_policy != 'none'")
        self.has_top_ups = self.scenario.owners.top_up_below is not None
        (positions,) = sqlfiles.one_row(self.con, "select count(*) from replay_leg_start")
        self.plans = Plans(self.con, _PLANNED, positions)

    def play(self) -> None:
        """Run all steps."""
        steps = self.scenario.clock.steps
        for step in range(steps + 1):
            self.step(step)
            if self.progress is not None:
                self.progress(step, steps)

    def step(self, step: int) -> None:
        """Run one step of the clock."""
        self.set_time(step)
        self.now = put_now(self.con, self.scenario, self.venues, step * self.scenario.clock.step_seconds, self.now)
        self.run("30_step")
        if step and self.has_hedges:
            self.run("33_accrue")
        if step and self.has_top_ups:
            self.run("32_arrival", "62_apply")
        self.run("40_mark", "34_still")
        if self.has_breakers:
            self.run("37_halt")
        round_no = 1
        while self.round(step, round_no):
            round_no += 1
            if round_no > self.scenario.clock.max_rounds:
                raise ReplayError(
                    f"Step {step} did not come to rest within clock.max_rounds = {self.scenario.clock.max_rounds} rounds. "
                    "Raise it, or look for a depth or cool-down that lets the same accounts breach for ever. Nothing was written."
                )
        if step == self.scenario.clock.steps:
            self.run("84_rise")
        self.run("66_funds", "50_margin", "67_purse", "85_step_end", "89_invariants")
        if self.has_hedges:
            self.run("86_naked")
        if self.has_top_ups:
            self.run("45_active", "50_margin", "87_request")
            if self.rows["replay_asking"]:
                self.run("50_margin", "88_transfer", "62_apply")

    def refuse_far_prices(self) -> None:
        """Refuse prices that no double can carry any more.

        Raises:
            ReplayInputError: shock and forced flow move a price by more than 25 log units.
        """
        keys = [str(row[0]) for row in self.plans.ask("42_too_far")]
        if keys:
            place = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
            rule = "the shock and the forced flow move the price by more than 25 log units"
            remedy = "correct depth (USD per unit of log price), impact.coefficient or the shock, or set impact.max_displacement"
            raise ReplayInputError([Fault("depth", place, rule, remedy, len(keys))])

    def round(self, step: int, round_no: int) -> bool:
        """Run one round; return whether anything was filled, taken over or deleveraged."""
        self.set_time(step, round_no)
        self.plans.tidy()
        self.run("36_round")
        if round_no > 1:
            self.run("40_mark")
        self.refuse_far_prices()
        self.order(round_no)
        if self.rows["replay_order"]:
            self.run("60_fill", "61_check", "62_apply")
        if self.rows["replay_breach"] or self.rows["replay_fill"]:
            self.run("63_taken", "50_margin", "65_takeover", "62_apply")
        happened = bool(self.rows["replay_fill"] or self.rows["replay_taken"])
        if self.has_policy:
            self.run("64_held")
        # a fund that owes nothing to anybody and holds nothing has nothing to settle
        if (
            self.rows["replay_deficit"]
            or self.rows["replay_realised"]
            or (self.has_policy and self.rows["replay_held"])
        ):
            self.settle()
        return happened or bool(self.rows["replay_slice"])

    def order(self, round_no: int) -> None:
        """Find who is in breach, and what goes to the book."""
        self.run("43_passed", "44_wake", "45_active")
        if self.rows["replay_wanted"]:
            self.run("50_margin", "53_slack", "54_alarm", "55_breach")
        if self.rows["replay_breach"]:
            if self.has_partial:
                self.run("56_fraction")
            self.run("57_order")
        if (
            round_no == 1
            and self.has_hedges
            and self.any("replay_hedge where due_seconds <= (select seconds from replay_clock)")
        ):
            self.run("58_rehedge")

    def settle(self) -> None:
        """Let the funds pay, call from winners what they cannot, and socialise the rest."""
        self.run("66_funds", "50_margin", "67_purse")
        if self.has_policy:
            self.run("70_call")
            if self.rows["replay_call"]:
                self.run("71_called", "44_wake", "72_candidates", "50_margin", "75_deleverage", "62_apply")
        self.run("80_settle", "62_apply")

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows the tables of the planned files hold."""
        return self.plans.rows

    def run(self, *names: str) -> None:
        """Run planned SQL files in order."""
        self.plans.run(*names)
