"""``delever book hyperliquid``: a book is worth what the states say, falls where they say, and drops what is wrong."""

from __future__ import annotations

import csv
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import hyperliquid_states as hl
import pytest
import yaml
from book_reading import ReadBook, fall_steps, rows
from click.testing import CliRunner

from built_homes import run_cli
from dagster_project.cli import cli
from dagster_project.lib.home import PROJECT_ROOT
from dagster_project.replay.books.hyperliquid import book_of_states
from dagster_project.replay.books.parameters import Tiers
from dagster_project.replay.books.writing import BookInputError
from dagster_project.replay.engine import played, run_replay

VENUE = "hyperliquid"
CALM = {"scenario": "calm", "shock": {"all": [[0, 0]]}, "venues": {"default": {"preset": "hyperliquid"}}}
MARKS = {(VENUE, coin.name): coin.mark for coin in hl.COINS}
TIERS = {coin.name: coin for coin in hl.COINS}

# The example of the venue's documentation of clearinghouseState, at its mark of 100.02765 / 0.0335 = 2985.9 USD.
DOCUMENTED: dict[str, Any] = {
    "assetPositions": [
        {
            "position": {
                "coin": "ETH",
                "cumFunding": {"allTime": "514.085417", "sinceChange": "0.0", "sinceOpen": "0.0"},
                "entryPx": "2986.3",
                "leverage": {"rawUsd": "-95.059824", "type": "isolated", "value": 20},
                "liquidationPx": "2866.26936529",
                "marginUsed": "4.967826",
                "maxLeverage": 50,
                "positionValue": "100.02765",
                "returnOnEquity": "-0.0026789",
                "szi": "0.0335",
                "unrealizedPnl": "-0.0134",
            },
            "type": "oneWay",
        }
    ],
    "crossMaintenanceMarginUsed": "0.0",
    "crossMarginSummary": {
        "accountValue": "13104.514502",
        "totalMarginUsed": "0.0",
        "totalNtlPos": "0.0",
        "totalRawUsd": "13104.514502",
    },
    "marginSummary": {
        "accountValue": "13109.482328",
        "totalMarginUsed": "4.967826",
        "totalNtlPos": "100.02765",
        "totalRawUsd": "13009.454678",
    },
    "time": 1708622398623,
    "withdrawable": "13104.514502",
}


@pytest.fixture(scope="module")
def states() -> dict[str, Any]:
    """150 solvent users."""
    draw = random.Random(20251010)  # noqa: S311
    return {hl.address(number): hl.random_state(draw) for number in range(150)}


@pytest.fixture(scope="module")
def folder(states: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("states")
    (place / "p.yaml").write_text("depth: {depth_1pct_usd: {BTC: 1.0e+7, ETH: 1.0e+7, kPEPE: 1.0e+7, TINY: 1.0e+7}}")
    book_of_states(hl.write(place / "snapshot", states), place / "book", place / "p.yaml")
    return place / "book"


def by_owner(book: ReadBook) -> dict[str, list[Any]]:
    """Units of each user."""
    found: dict[str, list[Any]] = defaultdict(list)
    for unit in book.units.values():
        found[unit.owner_id].append(unit)
    return found


def test_documented_example(tmp_path: Path) -> None:
    """Account value and liquidation price are those that the venue printed.

    Half of the last digit of rawUsd moves the level by 5e-7 / (0.0335 * 0.99) = 1.51e-5.
    """
    meta = {"universe": [{"name": "ETH", "szDecimals": 4, "maxLeverage": 50}]}
    book_of_states(hl.write(tmp_path / "s", {hl.address(1): DOCUMENTED}, meta), tmp_path / "book")
    book = ReadBook(tmp_path / "book")
    units = by_owner(book)[hl.address(1)]
    assert sum(book.equity(unit, book.index) for unit in units) == pytest.approx(13109.482328, abs=1e-6)
    (isolated,) = (unit for unit in units if unit.legs)
    assert book.level(isolated, (VENUE, "ETH")) == pytest.approx(2866.26936529, abs=1.6e-5)


def test_equity_of_every_user_is_the_account_value(folder: Path, states: dict[str, Any]) -> None:
    """To the six decimals that are printed, one rounding for each position and balance."""
    book = ReadBook(folder)
    assert book.index == MARKS
    owners = by_owner(book)
    assert owners.keys() == states.keys()
    for user, units in owners.items():
        equity = sum(book.equity(unit, MARKS) for unit in units)
        assert equity == pytest.approx(float(states[user]["marginSummary"]["accountValue"]), abs=3e-6), user


def test_engine_sees_the_account_value(folder: Path, states: dict[str, Any]) -> None:
    with played(folder, CALM) as run:
        found = dict(
            run.con.execute(
                """
                with leg as (
                    select
                        l.unit_no,
                        sum(native_value(c.is_inverse, l.lots, c.lot_size, c.contract_value, m.mark_price)) as native
                    from replay_leg as l
                    inner join replay_contract as c using (contract_no)
                    inner join replay_mark as m using (contract_no)
                    group by l.unit_no
                )
                select u.owner_id, (sum(u.cash) + sum(coalesce(l.native, 0)))::double / 1e6
                from replay_unit as u left join leg as l using (unit_no)
                where u.kind = 'trader'
                group by u.owner_id
                """
            ).fetchall()
        )
    wanted = {user: float(state["marginSummary"]["accountValue"]) for user, state in states.items()}
    assert found == pytest.approx(wanted, abs=1e-5)


def tier_at(coin: str, notional: float) -> int:
    """Which tier a notional falls in."""
    return sum(notional >= floor for floor, _ in TIERS[coin].tiers)


def levels_of(states: dict[str, Any]) -> dict[tuple[str, str], tuple[str, float, float]]:
    """Mode, liquidation price and size by user and coin, where the venue's formula holds: the tier does not change on the way."""
    found = {}
    for user, state in states.items():
        for entry in state["assetPositions"]:
            position = entry["position"]
            coin, size = position["coin"], float(position["szi"])
            if position["liquidationPx"] is None:
                continue
            level = float(position["liquidationPx"])
            if tier_at(coin, abs(size) * level) == tier_at(coin, float(position["positionValue"])):
                found[user, coin] = (position["leverage"]["type"], level, size)
    return found


def test_accounts_breach_at_the_liquidation_price(folder: Path, states: dict[str, Any]) -> None:
    """Raw USD have six decimals, so a level is known to 1e-6 USD a unit of the position, in 1,000 USD or more of notional."""
    book = ReadBook(folder)
    found = levels_of(states)
    assert len(found) > 200
    assert {mode for mode, _, _ in found.values()} == {"cross", "isolated"}
    for (user, coin), (mode, level, size) in found.items():
        unit = book.units[(f"{user} isolated", coin) if mode == "isolated" else (user, None)]
        assert book.level(unit, (VENUE, coin)) == pytest.approx(level, abs=5e-6 / abs(size), rel=1e-8), (user, coin)


@pytest.mark.parametrize("side", [1, -1])
def test_engine_liquidates_at_the_liquidation_price(folder: Path, states: dict[str, Any], side: int) -> None:
    """BTC alone moves: a dozen accounts are liquidated at the price that their states name for BTC."""
    levels = {}
    for (user, coin), (mode, level, size) in levels_of(states).items():
        if coin == "BTC" and size * side > 0 and len(levels) < 12:
            levels[f"{user} isolated" if mode == "isolated" else user] = (level, MARKS[VENUE, "BTC"])
    found = fall_steps(folder, "BTC", levels, {"liquidation": {"close": "full", "backstop_ratio": None}})
    assert len(levels) == 12
    assert levels.keys() <= found.keys()
    for account, (level, index) in levels.items():
        assert found[account] == pytest.approx(math.log(level / index * (1 - side * 1e-7)), abs=1e-12), account


def test_nobody_solvent_is_liquidated_without_a_shock(folder: Path) -> None:
    result = run_replay(folder, CALM)
    assert result.table("stress_event").num_rows == 0


def test_fall_under_the_venues_rules(folder: Path) -> None:
    fall = deepcopy(CALM) | {"shock": {"all": [[0, 0], [10, -0.3]]}, "clock": {"step_seconds": 5, "steps": 10}}
    assert run_replay(folder, fall).summary["liquidated_accounts"] > 10


def test_who_is_in_breach_already_is_counted_and_liquidated(tmp_path: Path) -> None:
    broke = hl.state(-0.99 * 122600.0, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    fine = hl.state(-0.5 * 122600.0, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    made = book_of_states(hl.write(tmp_path / "s", {hl.address(1): broke, hl.address(2): fine}), tmp_path / "book")
    assert (made.users, made.breached) == (2, 1)
    events = run_replay(tmp_path / "book", CALM).table("stress_event").to_pylist()
    assert {event["account_id"] for event in events if event["kind"] in ("book", "backstop")} == {hl.address(1)}


def test_maintenance_is_that_of_the_margin_table(folder: Path) -> None:
    """At notionals within, at and beyond every tier, against a sum of slices."""
    book = ReadBook(folder)
    for coin in hl.COINS:
        for notional in (1.0, 19_999.0, 20_000.0, 45_000.0, 60_000.0, 1e6, 149e6, 3e8):
            found = book.maintenance((VENUE, coin.name), notional / coin.mark, coin.mark)
            assert found == pytest.approx(hl.maintenance(coin, notional)[1], rel=1e-9), (coin.name, notional)


def test_contracts_are_the_venues(folder: Path) -> None:
    found = {row["contract"]: (row["base_asset"], row["tier"], row["lot_size"]) for row in rows(folder, "contract")}
    assert found == {
        "BTC": ("BTC", "major", 1e-5),
        "ETH": ("ETH", "major", 1e-4),
        "TINY": ("TINY", "tail", 0.1),
        "kPEPE": ("PEPE", "tail", 1.0),
    }


def test_tiers_are_those_of_the_seed() -> None:
    with (PROJECT_ROOT / "dbt" / "seeds" / "asset_tiers.csv").open() as handle:
        seed = list(csv.DictReader(handle))
    for tier in ("major", "mid"):
        assert set(getattr(Tiers(), tier)) == {row["base_asset"] for row in seed if row["tier"] == tier}


def test_single_answers_make_the_same_book(folder: Path, states: dict[str, Any], tmp_path: Path) -> None:
    """A folder of one answer a user, named by the user in any case, is the same as the lines."""
    place = tmp_path / "answers [1]*"
    place.mkdir()
    (place / "metaAndAssetCtxs.json").write_text(json.dumps(hl.meta()))
    for user, state in states.items():
        (place / f"{user.upper().replace('X', 'x', 1)}.json").write_text(json.dumps(state, indent=2))
    (tmp_path / "p.yaml").write_text((folder.parent / "p.yaml").read_text())
    book_of_states(place, tmp_path / "book", tmp_path / "p.yaml")
    for table in ("position", "collateral", "account", "contract", "margin_tier"):
        assert rows(tmp_path / "book", table) == rows(folder, table)


def test_prices_of_states_serve_where_the_meta_has_none(tmp_path: Path) -> None:
    users = {hl.address(n): hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}]) for n in (1, 2)}
    book_of_states(hl.write(tmp_path / "s", users, hl.meta()[0]), tmp_path / "book")
    assert [row["index_price"] for row in rows(tmp_path / "book", "contract")] == [pytest.approx(122600.0)]


def test_newest_state_of_a_user_counts(tmp_path: Path) -> None:
    old = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    new = hl.state(1e6, [{"coin": "BTC", "szi": 2.0, "entry": 120000.0}])
    old["time"] -= 1000
    source = hl.write(tmp_path / "s", {hl.address(10): new})
    with source.open("a") as handle:
        handle.write(json.dumps({"user": hl.address(10).upper().replace("X", "x", 1), "state": old}) + "\n")
    made = book_of_states(source, tmp_path / "book")
    assert made.quarantined == {"an older state of a user who has a newer one": 1}
    assert [row["quantity"] for row in rows(tmp_path / "book", "position")] == [2.0]


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one value of a state; the value is removed where it is None."""

    def change(state: dict[str, Any]) -> None:
        place: Any = state
        for step in path[:-1]:
            place = place[step]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


POSITION = ("assetPositions", 0, "position")
BROKEN: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no positions": (_set("assetPositions", to=None), "assetPositions is no list"),
    "positions are an object": (_set("assetPositions", to={"a": 1}), "assetPositions is no list"),
    "account value is a text": (_set("marginSummary", "accountValue", to="much"), "lacks a number"),
    "account value is not a number": (_set("marginSummary", "accountValue", to="NaN"), "lacks a number"),
    "account value is without end": (_set("crossMarginSummary", "totalRawUsd", to="1e400"), "lacks a number"),
    "no cross summary": (_set("crossMarginSummary", to=None), "lacks a number"),
    "no size": (_set(*POSITION, "szi", to=None), "a position lacks"),
    "size 0": (_set(*POSITION, "szi", to="0.0"), "a position lacks"),
    "size is a list": (_set(*POSITION, "szi", to=[1]), "a position lacks"),
    "negative entry": (_set(*POSITION, "entryPx", to="-1"), "a position lacks"),
    "unknown mode": (_set(*POSITION, "leverage", "type", to="portfolio"), "a position lacks"),
    "position is a text": (_set("assetPositions", 0, to="BTC"), "a position lacks"),
    "unknown coin": (_set(*POSITION, "coin", to="'; drop table hl_leg; --"), "the meta does not list"),
    "between lots": (_set(*POSITION, "szi", to="1.000001"), "no multiple"),
    "value of another size": (_set(*POSITION, "positionValue", to="1000.0"), "do not add up"),
    "raw is off by a dollar": (_set("marginSummary", "totalRawUsd", to="0.0"), "do not add up"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_state_that_does_not_hold_together_is_set_aside(tmp_path: Path, case: str) -> None:
    change, reason = BROKEN[case]
    good = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    bad = deepcopy(good)
    change(bad)
    made = book_of_states(hl.write(tmp_path / "s", {hl.address(1): bad, hl.address(2): good}), tmp_path / "book")
    (row,) = csv.DictReader((tmp_path / "book" / "quarantine.csv").read_text().splitlines())
    assert (row["place"], row["address"]) == ("states.jsonl record 1", hl.address(1))
    assert reason in row["reason"]
    assert made.quarantined == {row["reason"]: 1}
    assert {account["account_id"] for account in rows(tmp_path / "book", "account")} == {
        hl.address(2),
        "hyperliquid maker",
    }


def test_two_positions_in_a_coin_are_set_aside(tmp_path: Path) -> None:
    good = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    twice = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 1.0}, {"coin": "BTC", "szi": 1.0, "entry": 1.0}])
    made = book_of_states(hl.write(tmp_path / "s", {hl.address(1): twice, hl.address(2): good}), tmp_path / "book")
    assert made.quarantined == {"two positions in one coin": 1}


def test_state_of_another_time_is_set_aside(tmp_path: Path) -> None:
    """The first is valued 10 % above the book's mark."""
    late = [coin if coin.name != "BTC" else hl.Coin("BTC", coin.mark * 1.1, 5, coin.tiers) for coin in hl.COINS]
    stale = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}], late)
    good = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    made = book_of_states(hl.write(tmp_path / "s", {hl.address(1): stale, hl.address(2): good}), tmp_path / "book")
    (reason,) = made.quarantined
    assert "of another time" in reason


def test_lines_that_are_no_records_are_set_aside(tmp_path: Path) -> None:
    good = json.dumps({"user": hl.address(2), "state": hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])})
    source = hl.write(tmp_path / "s", {})
    lines = [
        b'{"user": "0x',
        b'"text"',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"user": "=cmd()", "state": {}}',
        good.encode(),
        b"[]",
    ]
    source.write_bytes(b"\n".join(lines))
    made = book_of_states(source, tmp_path / "book")
    assert made.users == 1
    assert sum(made.quarantined.values()) == 6
    text = (tmp_path / "book" / "quarantine.csv").read_text()
    assert "=cmd" not in text
    assert [row["place"] for row in csv.DictReader(text.splitlines())] == [
        f"states.jsonl record {number}" for number in (1, 2, 3, 4, 5, 7)
    ]


def test_users_without_positions_are_left_out(tmp_path: Path) -> None:
    good = hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])
    made = book_of_states(
        hl.write(tmp_path / "s", {hl.address(1): hl.state(5.0, []), hl.address(2): good}), tmp_path / "book"
    )
    assert (made.users, made.idle, made.quarantined) == (1, 1, {})


def test_fund_vaults_and_depth_of_the_parameters(tmp_path: Path) -> None:
    users = {hl.address(n): hl.state(1e6 * n, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}]) for n in (1, 2, 3)}
    source = hl.write(tmp_path / "s", users)
    keys = {
        "fund": {"address": hl.address(2)},
        "vaults": [hl.address(3)],
        "depth": {"depth_1pct_usd": {"BTC": 2e7}, "refill_multiple": 10},
        "tiers": {"major": [], "mid": ["BTC"]},
        "beta": {"mid": 0.5},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(keys))
    made = book_of_states(source, tmp_path / "book", tmp_path / "p.yaml")
    assert made.held.info.source_class == "measured"
    (fund,) = rows(tmp_path / "book", "fund")
    assert fund["balance"] == pytest.approx(2e6 + 122600.0, abs=1e-6)
    kinds = {row["account_id"]: row["kind"] for row in rows(tmp_path / "book", "account")}
    assert kinds == {hl.address(1): "trader", hl.address(3): "vault", "hyperliquid maker": "maker"}
    assert rows(tmp_path / "book", "depth")[0]["depth"] == pytest.approx(2e7 / 2 / 0.01 * 10)
    (contract,) = rows(tmp_path / "book", "contract")
    assert (contract["tier"], contract["beta"]) == ("mid", 0.5)


def test_assumed_depth_makes_the_book_estimated(tmp_path: Path) -> None:
    users = {hl.address(1): hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])}
    made = book_of_states(hl.write(tmp_path / "s", users), tmp_path / "book")
    assert made.held.info.source_class == "estimated"
    assert rows(tmp_path / "book", "depth")[0]["depth"] == pytest.approx(0.001 * 31000 * 122600 * 50 * 34)
    assert rows(tmp_path / "book", "fund")[0]["balance"] == 0


def _meta(change: Callable[[Any], None]) -> Any:
    answer = hl.meta()
    change(answer)
    return answer


REFUSALS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no such file": (lambda place: place / "none", "no such file"),
    "no meta": (lambda place: _without_meta(place / "."), "no list of coins"),
    "no states": (lambda place: hl.write(place, {}), "none of 0 records"),
    "empty folder": (lambda place: hl.write(place, {}).parent, "none of 0 records"),
    "meta is no JSON": (lambda place: _with_meta(place, "{"), "is no JSON with a list"),
    "meta without universe": (lambda place: _with_meta(place, "{}"), "is no JSON with a list"),
    "coin twice": (
        lambda place: _with_meta(place, json.dumps(_meta(lambda a: a[0]["universe"].append(a[0]["universe"][0])))),
        "listed twice",
    ),
    "tier without leverage": (
        lambda place: _with_meta(
            place, json.dumps(_meta(lambda a: a[0]["marginTables"][0][1]["marginTiers"][0].update(maxLeverage=0)))
        ),
        "maxLeverage",
    ),
    "tier that begins above 0": (
        lambda place: _with_meta(
            place, json.dumps(_meta(lambda a: a[0]["marginTables"][0][1]["marginTiers"][0].update(lowerBound="5")))
        ),
        "does not begin at lowerBound 0",
    ),
}


def _one(place: Path) -> Path:
    return hl.write(place, {hl.address(1): hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])})


def _without_meta(place: Path) -> Path:
    source = _one(place)
    (place / "metaAndAssetCtxs.json").unlink()
    return source


def _with_meta(place: Path, text: str) -> Path:
    source = _one(place)
    (place / "metaAndAssetCtxs.json").write_text(text)
    return source


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_write_nothing(tmp_path: Path, case: str) -> None:
    make, said = REFUSALS[case]
    source = make(tmp_path / "snapshot")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BookInputError) as refused:
        book_of_states(source, tmp_path / "out")
    assert said in str(refused.value)
    assert refused.value.exit_code == 2
    assert len(str(refused.value).splitlines()) <= 24
    assert sorted(tmp_path.rglob("*")) == before


PARAMETERS = {
    "both": ("fund: {balance_usd: 1, address: '0x0000000000000000000000000000000000000001'}", "not both"),
    "not an address": ("vaults: [HLP]", "vaults.0"),
    "nobody": ("vaults: ['0x00000000000000000000000000000000000000ff']", "nothing of this name"),
    "no such coin": ("depth: {depth_1pct_usd: {GONE: 1}}", "nothing of this name"),
    "unknown key": ("hlp: 1", "unknown key"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_that_do_not_fit_are_refused(tmp_path: Path, case: str) -> None:
    text, said = PARAMETERS[case]
    (tmp_path / "p.yaml").write_text(text)
    source = _one(tmp_path / "s")
    with pytest.raises(BookInputError, match=said):
        book_of_states(source, tmp_path / "out", tmp_path / "p.yaml")
    assert not (tmp_path / "out").exists()


def test_command_prints_what_was_set_aside(tmp_path: Path) -> None:
    users = {hl.address(1): {}, hl.address(2): hl.state(1e6, [{"coin": "BTC", "szi": 1.0, "entry": 120000.0}])}
    source = hl.write(tmp_path / "s", users)
    done = CliRunner().invoke(cli, ["book", "hyperliquid", str(source), "--out", str(tmp_path / "book")])
    assert done.exit_code == 0, done.output
    assert "1 users with positions (0 at or below maintenance already), 0 without" in done.output
    assert "Set aside: 1 records, listed in" in done.output
    assert "1 x assetPositions is no list" in done.output
    checked = CliRunner().invoke(cli, ["book", "check", str(tmp_path / "book")])
    assert checked.exit_code == 0, checked.output


def test_command_shows_a_refusal_on_one_screen(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "book", "hyperliquid", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("The book cannot be made")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
