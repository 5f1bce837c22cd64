"""A bad book is refused as a whole: one test per rule, all faults at once, nothing written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from replay_books import Book, only, scenario

from dagster_project.replay.book import load_book
from dagster_project.replay.engine import ReplayInputError, run_replay
from dagster_project.replay.faults import Fault
from dagster_project.replay.sqlfiles import book_rules


def good() -> Book:
    book = Book()
    book.contract(
        "v", "BTCUSDT", base="BTC", lot=0.001, index=100.0,
        tiers=((0.0, 1000.0, 0.01, 0.0), (1000.0, None, 0.02, 10.0)),
    )  # fmt: skip
    book.contract("v", "ETHUSDT", base="ETH", lot=0.01, index=10.0, tier="mid")
    book.maker()
    book.trader("long", 1.0, 100.0, 10.0, contract="BTCUSDT")
    book.trader("short", -0.5, 100.0, 10.0, contract="BTCUSDT")
    book.trader("cross", 2.0, 10.0, 10.0, contract="ETHUSDT", mode="cross")
    book.add("fund", venue="v", pool="p", contract=None, balance=5.0, mode="cash_pool")
    book.add("index_weight", base_asset="BTC", venue="v", weight=0.75)
    book.add("index_weight", base_asset="BTC", venue="w", weight=0.25)
    return book


def put(table: str, row: int, **values: Any) -> Callable[[Book], None]:
    return lambda book: book.rows[table][row].update(values)


def extra(table: str, **values: Any) -> Callable[[Book], None]:
    """Append a copy of the table's first row with other values."""
    return lambda book: book.rows[table].append({**book.rows[table][0], **values})


def drop(table: str, row: int = 0) -> Callable[[Book], None]:
    return lambda book: book.rows[table].pop(row) and None


def several(*changes: Callable[[Book], None]) -> Callable[[Book], None]:
    return lambda book: [change(book) for change in changes] and None


def inverse(value: float) -> Callable[[Book], None]:
    return put("contract", 0, contract_type="inverse", contract_value=value, lot_size=1.0)


NAN, INF = float("nan"), float("inf")
# table, part of the rule's text, what breaks it
CASES: list[tuple[str, str, Callable[[Book], None]]] = [
    ("contract", "two rows of one key", extra("contract")),
    ("contract", "contract_value", put("contract", 0, contract_type="inverse")),
    ("contract", "no margin_tier row", drop("margin_tier", 2)),
    ("contract", "no depth row", drop("depth", 1)),
    ("contract", "must be one of 'linear', 'inverse'", put("contract", 0, contract_type="quanto")),
    ("contract", "must be one of 'major', 'mid', 'tail'", put("contract", 0, tier="huge")),
    ("contract", "must be > 0", put("contract", 0, lot_size=-0.001)),
    ("contract", "must be > 0", put("contract", 0, lot_size=0.0)),
    ("contract", "must be > 0", put("contract", 0, index_price=0.0)),
    ("contract", "is NaN or infinite", put("contract", 0, index_price=INF)),
    ("contract", "is NaN or infinite", put("contract", 1, beta=NAN)),
    ("contract", "is empty", put("contract", 1, beta=None)),
    ("contract", "is empty", put("contract", 1, base_asset="")),
    ("contract", "the table has no rows", lambda book: book.rows["contract"].clear()),
    ("account", "two rows of one key", extra("account", kind="maker")),
    ("account", "must be one of 'trader', 'maker', 'vault'", put("account", 1, kind="whale")),
    ("account", "must be one of 'cross', 'isolated'", put("account", 1, margin_mode="portfolio")),
    ("account", "is empty", put("account", 1, owner_id=None)),
    ("collateral", "two rows of one key", extra("collateral")),
    ("collateral", "collateral without account", extra("collateral", account_id="nobody")),
    ("collateral", "a contract is named for an account that is not isolated", put("collateral", 2, contract="ETHUSDT")),
    ("collateral", "names a contract that its venue does not have", put("collateral", 0, contract="NOUSDT")),
    (
        "collateral",
        "isolated collateral without contract",
        several(extra("position", contract="ETHUSDT"), put("collateral", 0, contract=None)),
    ),
    ("collateral", "an asset has several prices", put("collateral", 0, price=0.9)),
    ("collateral", "more than 1 % off its index", put("collateral", 0, asset="ETH")),
    ("collateral", "beyond 1e12", put("collateral", 0, amount=2e12)),
    ("collateral", "beyond 1e12", put("collateral", 0, asset="coin", price=20.0, amount=6e10)),
    ("collateral", "of a coin, beyond 9e10", put("collateral", 0, asset="coin", price=1e-6, amount=1e11)),
    ("collateral", "is NaN or infinite", put("collateral", 0, amount=NAN)),
    ("position", "two rows of one key", extra("position")),
    ("position", "position without account", extra("position", account_id="nobody")),
    ("position", "the position's venue is not its account's venue", put("position", 0, venue="w")),
    ("position", "a contract that its venue does not have", put("position", 0, contract="NOUSDT")),
    ("position", "not a multiple of the contract's lot_size", put("position", 0, quantity=1.0005)),
    ("position", "beyond 1e12 USD", put("position", 0, quantity=1e13)),
    ("position", "beyond 1e12 USD", put("position", 0, quantity=1e9, entry_price=1e6)),
    (
        "position",
        "beyond 1e12 USD",
        several(inverse(value=100.0), put("position", 0, quantity=1e11, entry_price=1e9)),
    ),
    (
        "position",
        "inverse, 9e10 coins",
        several(inverse(value=1.0), put("position", 0, quantity=1e11, entry_price=1.0)),
    ),
    ("position", "do not sum to 0 and its venue has no maker", put("account", 0, kind="trader")),
    ("position", "is NaN or infinite", put("position", 0, quantity=NAN)),
    ("position", "is NaN or infinite", put("position", 0, quantity=-INF)),
    ("position", "is empty", put("position", 0, quantity=None)),
    ("position", "must be > 0", put("position", 0, entry_price=0.0)),
    ("margin_tier", "two rows of one key", extra("margin_tier")),
    ("margin_tier", "a tier of a contract that the book does not have", extra("margin_tier", contract="NOUSDT")),
    ("margin_tier", "the first tier must start at notional_floor 0", put("margin_tier", 2, notional_floor=5.0)),
    ("margin_tier", "notional_cap must be above notional_floor", put("margin_tier", 1, notional_cap=900.0)),
    ("margin_tier", "must be the next tier's notional_floor", put("margin_tier", 0, notional_cap=1500.0)),
    ("margin_tier", "must be the next tier's notional_floor", put("margin_tier", 0, notional_cap=None)),
    ("margin_tier", "not continuous", put("margin_tier", 1, maintenance_amount=11.0)),
    ("margin_tier", "not continuous", put("margin_tier", 2, maintenance_amount=1.0)),
    ("margin_tier", "must be >= 0 and < 1", put("margin_tier", 1, maintenance_rate=1.0)),
    ("depth", "two rows of one key", extra("depth")),
    ("depth", "depth of a contract that the book does not have", extra("depth", contract="NOUSDT")),
    ("depth", "must be >= 0.01", put("depth", 0, depth=0.0)),
    ("depth", "must be >= 0", put("depth", 0, recovery=-1.0)),
    ("depth", "must be between 0 and 1", put("depth", 0, floor=1.5)),
    ("fund", "two rows of one key", extra("fund")),
    ("fund", "two pools of one venue cover the same contract", extra("fund", pool="q")),
    ("fund", "fund of a venue or contract that the book does not have", put("fund", 0, venue="w")),
    ("fund", "must be >= 0", put("fund", 0, balance=-1.0)),
    ("fund", "must be one of 'cash_pool', 'vault'", put("fund", 0, mode="bank")),
    ("index_weight", "two rows of one key", extra("index_weight")),
    ("index_weight", "do not sum to 1", put("index_weight", 0, weight=0.5)),
    ("index_weight", "must be between 0 and 1", put("index_weight", 0, weight=-0.75)),
]


def refused(book: Path, out: Path, content: dict[str, Any] | None = None) -> ReplayInputError:
    with pytest.raises(ReplayInputError) as caught:
        run_replay(book, content or scenario(-0.05), out=out)
    assert not out.exists()
    assert list(out.parent.glob(".delever*")) == []
    return caught.value


def test_the_good_book_is_accepted_in_both_forms(tmp_path: Path) -> None:
    first = run_replay(good().write(tmp_path / "p"), scenario(-0.05))
    second = run_replay(good().write(tmp_path / "c", "csv"), scenario(-0.05))
    assert first.run_id == second.run_id
    assert first.table("stress_outcome").equals(second.table("stress_outcome"))
    assert first.summary["balanced_usd"] == pytest.approx(50.0 + 20.0)


@pytest.mark.parametrize(
    ("table", "rule", "change"), CASES, ids=[f"{t}-{r[:30]}-{i}" for i, (t, r, _) in enumerate(CASES)]
)
def test_each_rule_refuses(table: str, rule: str, change: Callable[[Book], None], tmp_path: Path) -> None:
    book = good()
    change(book)
    error = refused(book.write(tmp_path / "book"), tmp_path / "out")
    assert any(fault.where == table and rule in fault.rule for fault in error.faults), str(error)
    assert all(fault.remedy for fault in error.faults)


def test_every_relational_rule_has_a_case() -> None:
    for rule in book_rules():
        assert any(table == rule.table and text in rule.rule for table, text, _ in CASES), rule.rule


def test_many_different_faults_are_listed_at_once(tmp_path: Path) -> None:
    book = good()
    changes = [
        put("contract", 1, tier="huge"), extra("collateral", account_id="nobody"), put("position", 0, quantity=1.0005),
        put("margin_tier", 1, maintenance_amount=11.0), put("depth", 0, depth=NAN), put("fund", 0, balance=-1.0),
        put("index_weight", 0, weight=0.5),
    ]  # fmt: skip
    for change in changes:
        change(book)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "book.yaml").write_text("source_class: guessed\ncolour: red\n")
    error = refused(book.write(tmp_path / "book"), tmp_path / "out", scenario(-0.05, clock={"steps": "3"}))
    tables = {fault.where for fault in error.faults}
    assert tables >= {"contract", "collateral", "position", "margin_tier", "depth", "fund", "index_weight", "book.yaml"}
    assert any(fault.place == "clock.steps" for fault in error.faults)
    assert len(str(error).splitlines()) == len(error.faults) + 1 <= 40


def test_a_rule_broken_by_many_rows_is_one_line_with_its_count(tmp_path: Path) -> None:
    book = good()
    for number in range(500):
        book.trader(f"x{number}", 0.0005, 100.0, 1.0, contract="BTCUSDT")
    error = refused(book.write(tmp_path / "book"), tmp_path / "out")
    fault = next(fault for fault in error.faults if "lot_size" in fault.rule)
    assert fault.count == 500
    assert "(500 rows)" in str(fault)
    assert len(str(error)) < 1000


def test_missing_table_column_and_folder(tmp_path: Path) -> None:
    folder = good().write(tmp_path / "book")
    (folder / "fund.parquet").unlink()
    table = pq.read_table(folder / "position.parquet")
    pq.write_table(table.rename_columns(["account_id", "venue", "contract", "Quantity", "entry_price"]),
                   folder / "position.parquet")  # fmt: skip
    pq.write_table(pq.read_table(folder / "depth.parquet").drop(["floor", "recovery"]), folder / "depth.parquet")
    places = {(fault.where, fault.place) for fault in refused(folder, tmp_path / "out").faults}
    assert {("fund", ""), ("position", "quantity"), ("depth", "floor"), ("depth", "recovery")} <= places
    assert "no such folder" in str(refused(tmp_path / "nothing", tmp_path / "out"))
    (tmp_path / "file").write_text("x")
    assert "is not a folder" in str(refused(tmp_path / "file", tmp_path / "out"))


def test_both_forms_of_one_table_are_refused(tmp_path: Path) -> None:
    folder = good().write(tmp_path / "book")
    good().write(folder, "csv")
    assert sum("both files are present" in fault.rule for fault in refused(folder, tmp_path / "out").faults) == 8


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01\x02garbage", b"PAR1", b"venue,contract\n\xff\xfe\xfa,x\n", b"account_id,venue\na,b,c,d\ne\n"],
    ids=["empty", "binary", "stub", "not-utf8", "ragged"],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_broken_files_are_refused_without_a_traceback(content: bytes, form: str, tmp_path: Path) -> None:
    folder = good().write(tmp_path / "book", form)
    (folder / f"position.{form}").write_bytes(content)
    assert any(fault.where == "position" for fault in refused(folder, tmp_path / "out").faults)


def test_text_in_a_number_and_wrong_types(tmp_path: Path) -> None:
    folder = good().write(tmp_path / "book", "csv")
    path = folder / "position.csv"
    path.write_text(path.read_text().replace("long,v,BTCUSDT,1.0", "long,v,BTCUSDT,one"))
    fault = next(fault for fault in refused(folder, tmp_path / "out").faults if fault.where == "position")
    assert (fault.rule, fault.place) == ("is not a number", "quantity: long v BTCUSDT")
    folder = good().write(tmp_path / "nested")
    rows = [{"base_asset": "BTC", "venue": "v", "weight": [1.0]}]
    pq.write_table(pa.Table.from_pylist(rows), folder / "index_weight.parquet")
    assert "DOUBLE[]" in str(refused(folder, tmp_path / "out"))


def test_hostile_names_and_folders_are_only_data(tmp_path: Path) -> None:
    folder = tmp_path / "a'b; drop table x--[*]?" / "venue=other"
    book = good()
    for name in ("'; drop table book_position; --", "\x1b[31mred", 'quote"d', "*", "ünï"):
        book.trader(name, 0.25, 100.0, 1.0, contract="BTCUSDT")
    for form in ("parquet", "csv"):
        result = run_replay(book.write(folder / form, form), scenario(-0.05), out=tmp_path / "o'ut[*]" / form)
        assert only(result, "stress_summary")["positions"] == 8
        assert len(list((tmp_path / "o'ut[*]" / form).iterdir())) == len(result.tables)
    book.trader("\x1b[2Jclear", 0.00001, 100.0, 1.0, contract="BTCUSDT")
    assert "\x1b" not in str(refused(book.write(tmp_path / "bad"), tmp_path / "out"))


def test_books_of_every_kind_are_accepted(tmp_path: Path) -> None:
    book = good()
    book.add(
        "contract", venue="v", contract="BTCUSD", base_asset="BTC", contract_type="inverse", contract_value=10.0,
        tier="major", lot_size=1.0, index_price=101.0, beta=1.0,
    )  # fmt: skip
    book.add("depth", venue="v", contract="BTCUSD", depth=1e6, recovery=0.0, floor=0.0)
    book.add(
        "margin_tier", venue="v", contract="BTCUSD", notional_floor=0.0, notional_cap=None, maintenance_rate=0.01,
        maintenance_amount=0.0,
    )  # fmt: skip
    # 1e11 contracts of 10 USD are 1e12 USD; times the index they would be too many
    book.add("position", account_id="cross", venue="v", contract="BTCUSD", quantity=1e11, entry_price=99.0)
    book.add("position", account_id="cross", venue="v", contract="BTCUSDT", quantity=-1.0, entry_price=99.0)
    # of 101 and 100 the first contract's index counts: BTCUSD comes before BTCUSDT
    for asset, amount, price in (("BTC", 2.0, 100.0), ("STK", 9e10, 1.5), ("USDC", 1e12, 1.0)):
        book.add("collateral", account_id="cross", asset=asset, amount=amount, price=price, contract=None)
    assert faults_of_book(book, tmp_path) == []
    book.rows["collateral"][-3]["price"] = 102.1
    assert [fault.place for fault in faults_of_book(book, tmp_path)] == ["cross BTC"]
    book.rows["collateral"][-3]["price"] = 101.9
    assert faults_of_book(book, tmp_path) == []


def faults_of_book(book: Book, tmp_path: Path) -> list[Fault]:
    """Check a book without a replay."""
    place = Path(tempfile.mkdtemp(dir=tmp_path))
    (place / "links").mkdir()
    with duckdb.connect() as con:
        info, faults = load_book(con, book.write(place / "book"), place / "links")
    assert (info is None) == bool(faults)
    return faults


def test_one_asset_has_other_prices_at_other_venues(tmp_path: Path) -> None:
    book = good()
    book.contract("w", "BTCUSDT", base="BTC", index=100.0)
    book.trader("there", 1.0, 100.0, 10.0, venue="w", contract="BTCUSDT", mode="cross")
    book.maker("w")
    book.add("collateral", account_id="there", asset="STK", amount=1.0, price=5.0, contract=None)
    book.add("collateral", account_id="cross", asset="STK", amount=1.0, price=4.9, contract=None)
    assert faults_of_book(book, tmp_path) == []
    book.add("collateral", account_id="maker-w", asset="STK", amount=1.0, price=4.9, contract=None)
    assert [fault.place for fault in faults_of_book(book, tmp_path)] == ["w STK"]


def test_names_of_the_scenario_that_the_book_does_not_have_are_refused(tmp_path: Path) -> None:
    # every kind of name is tried in test_replay_scenario.py: here, that a run asks
    content = scenario({"driver": "GOLD", "path": [[0, -0.05]]}, venues={"w": {}})
    error = refused(good().write(tmp_path / "book"), tmp_path / "out", content)
    assert {fault.place for fault in error.faults} == {"shock.driver", "venues.w"}


def test_a_price_that_no_depth_carries_is_refused(tmp_path: Path) -> None:
    book = good()
    book.rows["depth"][0]["depth"] = 0.01
    assert "25 log units" in str(refused(book.write(tmp_path / "book"), tmp_path / "out", scenario(-0.2)))


def test_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    folder = good().write(tmp_path / "book")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ReplayInputError, match="is a file"):
        run_replay(folder, scenario(-0.05), out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_bad_options_are_refused(tmp_path: Path) -> None:
    folder = good().write(tmp_path / "book")
    with pytest.raises(ReplayInputError) as caught:
        run_replay(folder, scenario(-0.05), memory_limit="plenty", threads=0)
    assert {fault.place for fault in caught.value.faults} == {"memory_limit", "threads"}
