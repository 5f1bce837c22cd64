"""``delever book infer``: what the map says, the book has, and its accounts fall at the map's levels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import small_snapshot
import yaml
from book_reading import ReadBook, fall_steps, rows
from click.testing import CliRunner

from built_homes import Built, run_cli
from dagster_project.cli import cli
from dagster_project.lib.duck import connect
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.query import run_query
from dagster_project.replay.books.infer import infer_book
from dagster_project.replay.books.writing import BookInputError
from dagster_project.replay.engine import run_replay

AT = "2025-10-10 20:50"
RULES = {"liquidation": {"close": "full", "backstop_ratio": None}}
MAP = {
    (row["venue"], row["venue_symbol"], row["side"], row["leverage"], row["price_bin"]): row
    for row in small_snapshot.map_rows(small_snapshot.MARKETS)
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return small_snapshot.small().publish(tmp_path_factory.mktemp("small") / "home")


@pytest.fixture(scope="module")
def folder(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("inferred") / "book"
    infer_book(home, AT, out)
    return out


def with_parameters(home: Home, place: Path, **keys: Any) -> Path:
    """Infer with parameters and return the book."""
    place.mkdir(exist_ok=True)
    (place / "parameters.yaml").write_text(yaml.safe_dump(keys))
    infer_book(home, AT, place / "book", parameters=place / "parameters.yaml")
    return place / "book"


def sides(book: ReadBook) -> dict[tuple[str, str, str], float]:
    """USD of each side of each contract at its index price (inverse: at par)."""
    found: dict[tuple[str, str, str], float] = defaultdict(float)
    for row in book.tables["position"]:
        contract = book.contracts[row["venue"], row["contract"]]
        usd = contract["contract_value"] if contract["contract_type"] == "inverse" else contract["index_price"]
        found[row["venue"], row["contract"], "long" if row["quantity"] > 0 else "short"] += abs(row["quantity"]) * usd
    return found


def assert_conserved(book: ReadBook) -> None:
    """Each side of each contract is the map's open interest, to half a lot, and a lot is at most a dollar."""
    held = sides(book)
    for market in small_snapshot.MARKETS:
        contract = book.contracts[market.venue, market.contract]
        lot_usd = contract["lot_size"] * (1 if market.is_inverse else market.price)
        assert 0.1 < lot_usd <= 1
        for side in ("long", "short"):
            assert held[market.venue, market.contract, side] == pytest.approx(
                market.open_interest, abs=0.5 * lot_usd + 1e-6
            )


def cohorts(book: ReadBook) -> dict[tuple[str, str, str, float, int], Any]:
    """Units by the key of the map's row that their name holds."""
    found = {}
    for unit in book.units.values():
        venue, contract, side, leverage, price_bin = unit.account_id.split(" ")
        found[venue, contract, side, float(leverage.removesuffix("x")), int(price_bin)] = unit
    return found


def test_each_side_is_the_open_interest(folder: Path) -> None:
    assert_conserved(ReadBook(folder))


def test_every_account_falls_at_its_level_of_the_map(folder: Path) -> None:
    """Four roundings to half a micro-USD move a level by 2e-6 / (1 - rate) of the position's value, 1000 USD at the least."""
    book = ReadBook(folder)
    found = cohorts(book)
    assert found.keys() == MAP.keys()
    for key, unit in found.items():
        assert book.level(unit, key[:2]) == pytest.approx(MAP[key]["liquidation_price"], rel=1e-8), key


@pytest.mark.parametrize(("side", "asset"), [("long", "X"), ("short", "X"), ("long", "TAIL"), ("short", "TAIL")])
def test_engine_liquidates_where_the_map_says(folder: Path, side: str, asset: str) -> None:
    levels = {
        f"{venue} {contract} {kind} {leverage:g}x {price_bin}": (row["liquidation_price"], row["reference_price"])
        for (venue, contract, kind, leverage, price_bin), row in MAP.items()
        if kind == side and row["base_asset"] == asset
    }
    found = fall_steps(folder, asset, levels, RULES)
    assert found.keys() == levels.keys()
    for account, (level, index) in levels.items():
        beyond = 1 - 1e-7 if side == "long" else 1 + 1e-7
        assert found[account] == pytest.approx(math.log(level / index * beyond), abs=1e-12), account


def test_margin_is_value_over_leverage_where_the_contract_has_one_rate(folder: Path) -> None:
    """All of X-PERP and TAIL have one rate and no maintenance amount: margin at the entry is value / leverage to a micro-USD."""
    book = ReadBook(folder)
    for key, unit in cohorts(book).items():
        if key[0] == "beta":
            ((quantity, entry),) = unit.legs.values()
            assert unit.coins["USD"] == pytest.approx(abs(quantity) * entry / key[3], rel=1e-9)
            assert entry == MAP[key]["entry_price"]


def test_margin_differs_little_from_value_over_leverage_elsewhere(folder: Path) -> None:
    """By no more than the spread of the rates of its contract's positions at their levels (4 % of the value at the level)."""
    book = ReadBook(folder)
    for key, unit in cohorts(book).items():
        ((quantity, entry),) = unit.legs.values()
        if key[1] == "XUSDT":
            error = unit.coins["USD"] / abs(quantity) - entry / key[3]
            assert abs(error) <= 0.04 * MAP[key]["liquidation_price"]


def test_nothing_happens_without_a_shock(folder: Path) -> None:
    result = run_replay(folder, {"scenario": "calm", "shock": {"all": [[0, 0]]}, "venues": {"default": RULES}})
    assert result.table("stress_event").num_rows == 0
    assert result.summary["balanced_usd"] == 0


def test_depth_is_of_the_last_hour_that_ended(folder: Path) -> None:
    """2 M USD within 1 %: a million a side moves the book by 0.01; the refill makes that 34 times as much. Else a share of OI."""
    depth = {row["contract"]: row for row in rows(folder, "depth")}
    assert depth["XUSDT"]["depth"] == pytest.approx(1e6 / 0.01 * 34)
    assert depth["TAIL"]["depth"] == pytest.approx(0.005 * 77_777.7 / 2 / 0.01 * 34)
    assert "depth of 3 contracts" in yaml.safe_load((folder / "book.yaml").read_text())["origin"]


def test_funds_are_what_was_known_by_then(folder: Path) -> None:
    """Of alpha the pools of more than one contract are one; the balance of 22:00 is later. Beta has a hundredth of its OI."""
    funds = {(row["venue"], row["contract"]): row["balance"] for row in rows(folder, "fund")}
    assert funds == {
        ("alpha", None): 1200.0,
        ("alpha", "XUSD"): 50.0,
        ("beta", None): pytest.approx(0.01 * 1_077_777.7),
    }


def test_tier_is_that_of_the_day(folder: Path) -> None:
    assert {row["contract"]: row["tier"] for row in rows(folder, "contract")} == {
        "XUSDT": "major",
        "XUSD": "tail",
        "X-PERP": "tail",
        "TAIL": "tail",
    }


def test_weights_are_shares_of_open_interest(folder: Path) -> None:
    weights = {(row["base_asset"], row["venue"]): row["weight"] for row in rows(folder, "index_weight")}
    assert weights == {
        ("X", "alpha"): pytest.approx(3.5 / 4.5),
        ("X", "beta"): pytest.approx(1 / 4.5),
        ("TAIL", "beta"): 1.0,
    }


def test_parameters_change_what_they_say(home: Home, tmp_path: Path) -> None:
    book = with_parameters(
        home,
        tmp_path / "p",
        depth={"refill_multiple": 1, "recovery": 0.5, "floor": 0.1, "share_of_open_interest": {"tail": 0.5}},
        fund={"usd": {"alpha": 9.0}, "share_of_open_interest": 0.5, "vaults": ["beta"]},
        beta={"tail": 1.5, "assets": {"TAIL": 2.0}},
        lot_usd=1000,
    )
    depth = {row["contract"]: row for row in rows(book, "depth")}
    assert depth["XUSDT"]["depth"] == pytest.approx(1e8)
    assert depth["TAIL"]["depth"] == pytest.approx(0.5 * 77_777.7 * 50)
    assert {(row["recovery"], row["floor"]) for row in depth.values()} == {(0.5, 0.1)}
    assert {row["venue"]: (row["balance"], row["mode"]) for row in rows(book, "fund")} == {
        "alpha": (9.0, "cash_pool"),
        "beta": (pytest.approx(0.5 * 1_077_777.7), "vault"),
    }
    assert {row["contract"]: row["beta"] for row in rows(book, "contract")} == {
        "XUSDT": 1.0,
        "XUSD": 1.5,
        "X-PERP": 1.5,
        "TAIL": 2.0,
    }
    assert {row["contract"]: row["lot_size"] for row in rows(book, "contract")} == {
        "XUSDT": 10.0,
        "XUSD": 1000.0,
        "X-PERP": 10.0,
        "TAIL": 10000.0,
    }


def test_hedged_owners_are_flat_and_nothing_is_lost(home: Home, tmp_path: Path) -> None:
    """40 % of both venues' X: alpha wants 60,000 X and beta has 19,900, so that each can hedge no more than beta's."""
    book = ReadBook(with_parameters(home, tmp_path / "p", hedged_share=0.4))
    assert_conserved(book)
    owners: dict[str, list[Any]] = defaultdict(list)
    for unit in book.units.values():
        if unit.owner_id.startswith("hedged"):
            owners[unit.owner_id].append(unit)
    assert owners.keys() == {"hedged X alpha beta", "hedged X beta alpha"}
    wanted = 0.4 * 1_000_000 / 20.1
    for units in owners.values():
        legs = {key: quantity for unit in units for key, (quantity, _) in unit.legs.items()}
        assert {venue for venue, _ in legs} == {"alpha", "beta"}
        assert sum(legs.values()) == pytest.approx(0, abs=0.01)  # a lot of either venue
        assert max(legs.values()) == pytest.approx(wanted, abs=0.02)
        for unit in units:
            ((key, (quantity, _)),) = unit.legs.items()
            assert book.equity(unit, book.index) == pytest.approx(abs(quantity) * book.index[key] / 2, rel=1e-9)


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.34, 0.33, 0.33), (0.9, 0.06, 0.04), (0.25, 0.25, 0.25, 0.25)])
def test_hedges_never_meet_their_own_venue(tmp_path: Path, shares: tuple[float, ...]) -> None:
    """Of each venue the same quantity is hedged long and short: its share, or what the others have if that is less."""
    terms = {5.0: (0.02, 0.0)}
    markets = [
        small_snapshot.Market(f"v{number}", "C", "C", 1.0, 1e6 * share, terms, {1.0: 1.0})
        for number, share in enumerate(shares)
    ]
    made = small_snapshot.small(markets=markets).publish(tmp_path / "home")
    book = ReadBook(with_parameters(made, tmp_path / "p", hedged_share=0.5))
    held: dict[tuple[str, int], float] = defaultdict(float)
    for unit in book.units.values():
        if unit.owner_id.startswith("hedged"):
            ((key, (quantity, _)),) = unit.legs.items()
            held[key[0], 1 if quantity > 0 else -1] += abs(quantity)
    for number, share in enumerate(shares):
        expected = 0.5e6 * min(share, sum(shares) - share)
        for sign in (1, -1):
            assert held[f"v{number}", sign] == pytest.approx(expected, abs=len(shares))


@pytest.mark.parametrize("table", ["fct_liquidation_map", "fct_liquidity", "fct_insurance_fund"])
def test_one_synthetic_part_makes_the_book_synthetic(tmp_path: Path, table: str) -> None:
    world = small_snapshot.small()
    world.tables[table][0]["source_class"] = "synthetic"
    infer_book(world.publish(tmp_path / "home"), AT, tmp_path / "book")
    # the first row of depth and of funds is of an hour that is not taken, or of the pool's last one before the moment
    expected = "estimated" if table == "fct_liquidity" else "synthetic"
    assert yaml.safe_load((tmp_path / "book" / "book.yaml").read_text())["source_class"] == expected


def test_book_says_where_it_comes_from(folder: Path) -> None:
    said = yaml.safe_load((folder / "book.yaml").read_text())
    assert said["source_class"] == "estimated"
    for part in (
        "0123456789abcdef",
        "2025-10-10 20:50 UTC",
        "alpha, beta",
        '"refill_multiple": 34.0',
        "funds of 1 venues",
    ):
        assert part in said["origin"]


def test_one_venue_can_be_asked_for(home: Home, tmp_path: Path) -> None:
    made = infer_book(home, "2025-10-10", tmp_path / "book", ["beta"])
    assert (made.held.venues, made.held.contracts) == (1, 2)
    assert made.held.open_interest_usd == pytest.approx(1_077_777.7, abs=2)
    assert {row["weight"] for row in rows(tmp_path / "book", "index_weight")} == {1.0}


REFUSALS = {
    "no map then": ("2025-10-11", [], "2025-10-10 20:50 (alpha beta)"),
    "another minute": ("2025-10-10 20:51", [], "no liquidation map of then"),
    "no time": ("yesterday", [], "neither a day nor a moment"),
    "no such day": ("2025-13-01", [], "neither a day nor a moment"),
    "a year too far": ("99999-01-01", [], "neither a day nor a moment"),
    "last moment of all": ("9999-12-31T23:59:59-12:00", [], "no liquidation map of then"),
    "unknown venue": (AT, ["gamma\x1b[31m"], "name one of alpha, beta"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_write_nothing(home: Home, tmp_path: Path, case: str) -> None:
    at, venues, said = REFUSALS[case]
    assert_refused(home, tmp_path, said, at, venues)


PARAMETERS = {
    "unknown key": ("depht: {floor: 0.1}", "[depht]: unknown key"),
    "out of range": ("hedged_share: 1.5", "less than or equal to 1"),
    "text for a number": ("lot_usd: many", "valid number"),
    "no mapping": ("- 1", "not a mapping"),
    "alias": ("a: &x 1\nb: *x", "aliases"),
    "strange venue": ("fund: {usd: {gamma: 1}}", "the book has no such venue"),
    "nan": ("depth: {refill_multiple: .nan}", "refill_multiple"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_that_do_not_fit_are_refused(home: Home, tmp_path: Path, case: str) -> None:
    text, said = PARAMETERS[case]
    file = tmp_path / "p.yaml"
    file.write_text(text)
    assert_refused(home, tmp_path, said, parameters=file)


def assert_refused(
    home: Home, place: Path, said: str, at: str = AT, venues: Sequence[str] = (), parameters: Path | None = None
) -> None:
    """One screen without control characters, exit code 2, nothing written."""
    before = sorted(place.rglob("*"))
    with pytest.raises(BookInputError) as refused:
        infer_book(home, at, place / "out", venues, parameters)
    screen = str(refused.value)
    assert refused.value.exit_code == 2
    assert screen.startswith("The book cannot be made: 1 fault. Nothing was written.")
    assert said in screen
    assert "\x1b" not in screen
    assert len(screen.splitlines()) <= 24
    assert sorted(place.rglob("*")) == before


def test_command_shows_a_refusal_on_one_screen(home: Home, tmp_path: Path) -> None:
    done = run_cli(home.root, "book", "infer", "--at", "2025-10-11", "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("The book cannot be made")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_command_says_what_was_made(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_HOME", str(home.root))
    done = CliRunner().invoke(cli, ["book", "infer", "--at", AT, "--out", str(tmp_path / "out"), "--venue", "beta"])
    assert done.exit_code == 0, done.output
    assert "The book of 2025-10-10 20:50 UTC is written to" in done.output
    assert "Assumed: depth of 2 contracts, funds of 1 venues" in done.output


def test_folder_that_is_not_empty_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    assert_refused(home, tmp_path, "is not empty")
    assert (tmp_path / "out" / "mine.txt").read_text() == "kept"


def test_file_for_a_folder_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BookInputError, match="is a file"):
        infer_book(home, AT, tmp_path / "file")


def test_empty_folder_is_taken(home: Home, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert infer_book(home, AT, tmp_path / "out").held.positions == len(MAP)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_faults_are_listed_together(home: Home, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("lot_usd: -1")
    with pytest.raises(BookInputError) as refused:
        infer_book(home, "2025-10-11", tmp_path / "out", ["gamma"], tmp_path / "p.yaml")
    assert [fault.place for fault in refused.value.faults] == ["lot_usd", "gamma", "2025-10-11"]


def test_book_that_breaks_a_rule_is_not_written(tmp_path: Path) -> None:
    """A million times the depth of a tera-dollar of open interest is beyond what a book may have."""
    world = small_snapshot.small()
    for row in world.tables["fct_liquidation_map"]:
        row["open_interest_usd"] *= 1e6
    (tmp_path / "p.yaml").write_text("depth: {refill_multiple: 1000000, share_of_open_interest: {tail: 1}}")
    with pytest.raises(BookInputError, match="and <= 1e18 USD"):
        infer_book(world.publish(tmp_path / "home"), AT, tmp_path / "out", parameters=tmp_path / "p.yaml")
    assert not (tmp_path / "out").exists()


def test_home_without_a_snapshot_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nothing is published"):
        infer_book(Home(tmp_path / "none"), AT, tmp_path / "out")


def test_snapshot_of_an_older_delever_is_said(tmp_path: Path) -> None:
    made = small_snapshot.small().publish(tmp_path / "home")
    with connect(made.published_marts) as con:
        con.execute("use marts.marts; alter table fct_liquidation_map drop column entry_price")
    with pytest.raises(UsageError, match="Run `delever run` again"):
        infer_book(made, AT, tmp_path / "out")


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_book_of_the_demo(demo: Built, tmp_path: Path) -> None:
    """The whole map of the demo: sides, levels (of every seventh account) and no liquidation without a shock."""
    made = infer_book(demo.home, "2025-10-10", tmp_path / "book")
    assert made.held.info.source_class == "synthetic"
    again = infer_book(demo.home, "2025-10-10", tmp_path / "again")
    assert again.held.info.digest == made.held.info.digest
    book = ReadBook(tmp_path / "book")
    query = "select * from fct_liquidation_map where map_date = date '2025-10-10'"
    table = run_query(demo.home, query).to_arrow_table().to_pylist()
    wanted: dict[tuple[str, str, str], float] = {}
    levels = {}
    for row in table:
        wanted[row["venue"], row["venue_symbol"], row["side"]] = row["open_interest_usd"]
        levels[row["venue"], row["venue_symbol"], row["side"], row["leverage"], row["price_bin"]] = row
    held = sides(book)
    assert held.keys() == wanted.keys()
    for key, usd in wanted.items():
        assert held[key] == pytest.approx(usd, abs=0.5 + 1e-6), key
    found = cohorts(book)
    assert found.keys() <= levels.keys()
    assert sum(levels[key]["notional_usd"] for key in levels.keys() - found.keys()) <= len(levels)  # below a lot each
    for key in sorted(found)[::7]:
        if levels[key]["notional_usd"] > 1000:
            assert book.level(found[key], key[:2]) == pytest.approx(levels[key]["liquidation_price"], rel=1e-8), key
    calm = run_replay(tmp_path / "book", {"scenario": "calm", "shock": {"all": [[0, 0]]}, "venues": {"default": RULES}})
    assert calm.summary["liquidated_usd"] == 0
    fall = run_replay(
        tmp_path / "book", {"scenario": "fall", "shock": {"all": [[0, -0.05]]}, "venues": {"default": RULES}}
    )
    assert fall.summary["liquidated_long_usd"] > 0
    assert fall.summary["liquidated_short_usd"] == 0
