"""What every run keeps: invariants, independence of order and threads, atomic output, nothing left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from replay_books import Book, only, rules, scenario
from tampered_sql import tamper
from test_replay_reference import random_book

from dagster_project.replay import engine
from dagster_project.replay.engine import ReplayInputError, ReplayInvariantError, ReplayOutputError, run_replay


def book_with_deficits() -> Book:
    book = Book()
    book.maker()
    for contract, index in (("BTCUSDT", 100.0), ("ETHUSDT", 10.0)):
        book.contract(contract=contract, base=contract[:3], index=index, lot=0.001, depth=20000.0)
        for number in range(40):
            book.trader(
                f"{contract}{number:03d}",
                round(100 / index * (number % 7 + 1), 3),
                index,
                2.0 + number,
                contract=contract,
            )
        book.trader(f"{contract}short", round(-500 / index, 3), index, 50.0, contract=contract)
    book.add("fund", venue="v", pool="p", contract=None, balance=20.0, mode="cash_pool")
    return book


def tables(result: engine.ReplayResult) -> dict[str, list[dict[str, Any]]]:
    return {name: result.table(name).to_pylist() for name in result.tables}


@pytest.mark.parametrize("move", [-0.1, 0.1])
def test_same_output_for_any_row_order_threads_and_memory(move: float, tmp_path: Path) -> None:
    book = book_with_deficits()
    content = scenario(move, venues=rules(0.0005))
    expected = tables(run_replay(book.write(tmp_path / "b"), content))
    assert expected["stress_summary"][0]["deficit_usd"] > 0 or move > 0
    for number, options in enumerate(({"threads": 1}, {"threads": 2}, {"threads": 4}, {"memory_limit": "64MB"})):
        shuffled = book.shuffled(number).write(tmp_path / f"s{number}", "csv" if number % 2 else "parquet")
        assert tables(run_replay(shuffled, content, **options)) == expected


def test_a_larger_book_spills_and_agrees(tmp_path: Path) -> None:
    folder = book_with_deficits().write(tmp_path / "b")
    count = 150_000
    ids = [f"bulk{number:07d}" for number in range(count)]
    more = {
        "account": {
            "account_id": ids, "owner_id": ids, "venue": ["v"] * count, "kind": ["trader"] * count,
            "margin_mode": ["isolated"] * count,
        },
        "position": {
            "account_id": ids, "venue": ["v"] * count, "contract": ["BTCUSDT"] * count, "quantity": [0.001] * count,
            "entry_price": [100.0] * count,
        },
        "collateral": {
            "account_id": ids, "asset": ["USDT"] * count, "amount": [0.001 + number % 97 * 0.0004 for number in range(count)],
            "price": [1.0] * count, "contract": ["BTCUSDT"] * count,
        },
    }  # fmt: skip
    for table, columns in more.items():
        path = folder / f"{table}.parquet"
        pq.write_table(pa.concat_tables([pq.read_table(path), pa.table(columns)]), path)
    free = run_replay(folder, scenario(-0.1), threads=2)
    tight = run_replay(folder, scenario(-0.1), threads=2, memory_limit="160MB")
    assert free.summary == tight.summary
    assert free.summary["liquidated_positions"] > 10_000
    for name in free.tables:
        assert free.table(name).equals(tight.table(name)), name


def test_no_shock_and_all_solvent_means_no_fills(tmp_path: Path) -> None:
    result = run_replay(book_with_deficits().write(tmp_path / "b"), scenario(0.0))
    assert result.summary["liquidated_positions"] == 0
    assert result.summary["open_interest_after_usd"] == result.summary["open_interest_before_usd"]
    for row in result.table("stress_outcome").to_pylist():
        assert (row["trough_log_move"], row["overshoot"], row["amplification"]) == (0, 0, None)
    assert all(row["equity_lost_usd"] == 0 for row in result.table("stress_owner").to_pylist())


def test_breach_at_equality_without_a_move(tmp_path: Path) -> None:
    book = Book()
    book.contract(index=100.0, tiers=((0.0, None, 0.05, 0.0),))
    book.maker()
    book.trader("at", 10.0, 100.0, 50.0)
    book.trader("above", 10.0, 100.0, 50.01)
    result = run_replay(book.write(tmp_path / "b"), scenario(0.0))
    lost = {row["owner_id"]: row["leg_lost_to"] for row in result.table("stress_owner").to_pylist()}
    assert lost["at"] == "liquidation"


def test_makers_are_never_margin_checked_and_a_balanced_book_needs_none(tmp_path: Path) -> None:
    book = Book()
    book.contract(index=100.0)
    book.add("account", account_id="m", owner_id="m", venue="v", kind="maker", margin_mode="cross")
    book.add("position", account_id="m", venue="v", contract="C", quantity=10.0, entry_price=500.0)
    book.trader("short", -10.0, 100.0, 100.0)
    assert run_replay(book.write(tmp_path / "a"), scenario(-0.5)).summary["liquidated_positions"] == 0
    plain = Book()
    plain.contract(index=100.0)
    plain.trader("long", 10.0, 100.0, 100.0)
    plain.trader("short", -10.0, 100.0, 1000.0)
    result = run_replay(plain.write(tmp_path / "b"), scenario(-0.5))
    assert result.summary["liquidated_positions"] == 1
    assert result.summary["balanced_usd"] == 0
    assert {row["owner_id"] for row in result.table("stress_owner").to_pylist()} == {"long", "short", "(book)"}


def test_shock_forms(tmp_path: Path) -> None:
    book = Book()
    book.maker()
    for contract, tier, beta in (("BTC", "major", 1.0), ("ETH", "major", 1.5), ("DOGE", "tail", 2.0)):
        book.contract(contract=contract, tier=tier, beta=beta, index=10.0)
    book.trader("a", 1.0, 10.0, 100.0, contract="BTC")

    def moves(shock: dict[str, Any]) -> dict[str, float]:
        result = run_replay(book.write(tmp_path / "b"), scenario(shock))
        return {row["contract"]: row["shock_only_log_move"] for row in result.table("stress_outcome").to_pylist()}

    assert moves({"all": [[0, -0.1]]}) == {"BTC": -0.1, "ETH": -0.1, "DOGE": -0.1}
    assert moves({"driver": "BTC", "path": [[0, -0.1]]}) == pytest.approx({"BTC": -0.1, "ETH": -0.15, "DOGE": -0.2})
    assert moves({"BTC": [[0, -0.1]], "tail": [[0, 0.3], [60, 1]]}) == {"BTC": -0.1, "ETH": 0, "DOGE": 0.3}
    assert moves({"major": [[0, -0.1]], "ETH": [[0, -0.2]]}) == {"BTC": -0.1, "ETH": -0.2, "DOGE": 0}
    for shock, place in (({"BTCC": [[0, -0.1]]}, "shock.BTCC"), ({"driver": "SOL", "path": [[0, 0]]}, "shock.driver")):
        with pytest.raises(ReplayInputError) as caught:
            moves(shock)
        assert [fault.place for fault in caught.value.faults] == [place]


def test_unknown_venue(tmp_path: Path) -> None:
    with pytest.raises(ReplayInputError) as caught:
        run_replay(book_with_deficits().write(tmp_path / "b"), scenario(-0.1, venues={"binanse": {}}))
    assert {fault.place for fault in caught.value.faults} == {"venues.binanse"}


def test_book_yaml_gives_the_source_class(tmp_path: Path) -> None:
    folder = book_with_deficits().write(tmp_path / "b")
    before = run_replay(folder, scenario(-0.1))
    assert (before.source_class, before.origin) == ("estimated", "")
    (folder / "book.yaml").write_text("source_class: synthetic\norigin: 'made by a test'\n")
    after = run_replay(folder, scenario(-0.1))
    assert only(after, "stress_summary")["source_class"] == after.source_class == "synthetic"
    assert after.origin == "made by a test"


QUEUE = {"venues": {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "queue"}}}}
INVERSE = {"venues": {"default": {"liquidation": {"backstop_ratio": 0.5}}}}
BREAKS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "i1_lots": ("60_fill", "select maker_no, contract_no, side * got, 0", "select maker_no, contract_no, side * got + 1, 0", {}),
    "i2_cash_micro_usd": ("60_fill", "select unit_no, 0, -fee from", "select unit_no, 0, 1 - fee from", {}),
    "i2_coin_units": (
        "65_takeover", "select s.asset_no, s.amount from sold", "select s.asset_no, s.amount + 1 from sold", INVERSE,
    ),
    "i3_deficit_micro_usd": ("80_settle", "    n.deficit,\n    n.haircut,", "    n.deficit + 1,\n    n.haircut,", {}),
    "i3_needless": (
        "75_deleverage", "(short * closed) // wanted as collected", "(short * closed) // wanted // 2 as collected", QUEUE,
    ),
    "i4_slices": ("75_deleverage", "where profit >= 0 and profit * wanted >= short * held", "where true", QUEUE),
    "i5_fills": (
        "60_fill", "    f.* exclude (f.fee_rate),",
        "    f.* exclude (f.fee_rate) replace (if((select round from replay_clock) = 1, 2, 1) * f.got as got),", {},
    ),
    "i6_fills": ("55_breach", "and m.equity <= m.maintenance", "and m.equity <= m.maintenance + 1000000000", {}),
}  # fmt: skip


def book_that_breaks(name: str) -> Book:
    """A book in which the invariant has something to say."""
    book = book_with_deficits()
    if name == "i2_coin_units":
        book.add("account", account_id="coin", owner_id="coin", venue="v", kind="trader", margin_mode="cross")
        book.add("collateral", account_id="coin", asset="BTC", amount=1.0, price=100.0, contract=None)
        book.add("position", account_id="coin", venue="v", contract="BTCUSDT", quantity=9.0, entry_price=100.0)
    if name == "i6_fills":
        # who has coins is looked at in every round
        book.add("account", account_id="coin", owner_id="coin", venue="v", kind="trader", margin_mode="cross")
        book.add("collateral", account_id="coin", asset="BTC", amount=5.0, price=100.0, contract=None)
        book.add("position", account_id="coin", venue="v", contract="BTCUSDT", quantity=1.0, entry_price=100.0)
    if name == "i3_needless":
        book.rows["fund"][0]["balance"] = 0.0
        for contract, index in (("BTCUSDT", 100.0), ("ETHUSDT", 10.0)):
            # winners enough for every call
            book.trader(f"winner {contract}", -20000 / index, index, 50000.0, contract=contract)
    if name == "i4_slices":
        book.rows["fund"][0]["balance"] = 0.0
        for number in range(30):
            # shorts that entered below the mark: they lose, and are no candidates
            book.trader(f"late{number}", -2.0, 60.0, 5000.0, contract="BTCUSDT")
    return book


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_a_broken_invariant_stops_the_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, healthy, broken, rules_of_it = BREAKS[name]
    folder = book_that_breaks(name).write(tmp_path / "b")
    content = scenario(0.0 if name == "i6_fills" else -0.2, **rules_of_it)
    assert set(run_replay(folder, content).residuals) == set(BREAKS)
    tamper(monkeypatch, step, healthy, broken)
    with pytest.raises(ReplayInvariantError) as caught:
        run_replay(folder, content, out=tmp_path / "out")
    assert caught.value.residuals[name] != 0
    assert not (tmp_path / "out").exists()


def test_parquet_is_what_the_result_holds(tmp_path: Path) -> None:
    folder = book_with_deficits().write(tmp_path / "b")
    result = run_replay(folder, scenario(-0.1), out=tmp_path / "new" / "out")
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(
        f"{name}.parquet" for name in result.tables
    )
    with duckdb.connect() as con:
        for name in result.tables:
            rows = con.execute("from read_parquet(?)", [str(tmp_path / "new" / "out" / f"{name}.parquet")])
            found = rows.to_arrow_table()
            assert found.to_pylist() == result.table(name).to_pylist()
            assert found.column_names[:5] == ["run_id", "scenario", "scenario_hash", "book_hash", "source_class"]
    # a second run replaces, and leaves what is not its own
    (tmp_path / "new" / "out" / "mine.txt").write_text("mine")
    again = run_replay(folder, scenario(-0.1), out=tmp_path / "new" / "out")
    assert again.run_id == result.run_id
    assert len(list((tmp_path / "new" / "out").iterdir())) == len(result.tables) + 1


def test_a_failed_write_leaves_the_old_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = book_with_deficits().write(tmp_path / "b")
    out = tmp_path / "out"
    run_replay(folder, scenario(-0.1), out=out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    calls = []

    def failing(*_: object) -> None:
        calls.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(ReplayOutputError, match="No space left"):
        run_replay(folder, scenario(-0.2), out=out)
    assert calls
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "out"]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = book_with_deficits().write(tmp_path / "b")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "work")
    run_replay(folder, scenario(-0.1))
    with pytest.raises(ReplayInputError):
        run_replay(folder, scenario(-0.1, clock={"steps": -1}))
    assert [*(tmp_path / "tmp").iterdir(), *(tmp_path / "work").iterdir()] == []
    assert len(list(folder.iterdir())) == 8


def test_a_book_may_be_links_to_files_elsewhere(tmp_path: Path) -> None:
    real = book_with_deficits().write(tmp_path / "real")
    (tmp_path / "b").mkdir()
    for path in real.iterdir():
        (tmp_path / "b" / path.name).symlink_to(path)
    assert run_replay(tmp_path / "b", scenario(-0.1)).run_id == run_replay(real, scenario(-0.1)).run_id


def test_no_loss_is_made_or_lost_between_owners(tmp_path: Path) -> None:
    for seed in range(6):
        result = run_replay(random_book(seed).write(tmp_path / str(seed)), scenario(-0.1, venues=rules(0.001)))
        lost = sum(row["equity_lost_usd"] for row in result.table("stress_owner").to_pylist())
        summary = result.summary
        gained_by_funds = summary["fund_after_usd"] - summary["fund_before_usd"]
        assert lost == pytest.approx(gained_by_funds - summary["socialised_usd"], abs=1e-4)
        delta = {}
        for row in result.table("stress_owner").to_pylist():
            delta[row["base_asset"]] = delta.get(row["base_asset"], 0.0) + row["delta_after_usd"]
        assert all(abs(value) < 1e-4 for value in delta.values())
