"""Recorded prices as a shock: what a path is made of, and what is refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from replay_books import Book
from small_snapshot import World

from dagster_project.cli import cli
from dagster_project.lib.home import Home
from dagster_project.replay.engine import run_replay
from dagster_project.replay.faults import ReplayInputError
from dagster_project.replay.recorded import RecordInputError, Window, record_shock

BEFORE = datetime(2025, 10, 10, 20, 50, tzinfo=UTC)


class Tape(World):
    """A snapshot of one event, 'crash', of ten minutes in a window of twenty."""

    def __init__(self) -> None:
        super().__init__()
        self.tables["dim_event"].append(
            {
                "event_id": "crash",
                "pre_event_at": BEFORE,
                "recovery_at": BEFORE + timedelta(minutes=10),
                "window_end_at": BEFORE + timedelta(minutes=20),
            }
        )

    def bars(
        self,
        venue: str,
        asset: str,
        trades: list[float | None],
        index: list[float | None] | None = None,
        *,
        seconds: int = 60,
        source_class: str = "measured",
    ) -> None:
        """Add bars of a contract; the first two end a bar before the event and at it."""
        for number, price in enumerate(trades):
            self.tables["fct_event_window"].append(
                {
                    "event_id": "crash",
                    "venue": venue,
                    "venue_symbol": f"{asset}-{venue}",
                    "base_asset": asset,
                    "bar_start_at": BEFORE + timedelta(seconds=seconds * (number - 2)),
                    "interval_seconds": seconds,
                    "close_price": price,
                    "index_close": None if index is None else index[number],
                    "source_class": source_class,
                }
            )


def book_of(folder: Path, *assets: str) -> Path:
    book = Book()
    for asset in assets:
        book.contract(contract=asset, base=asset, index=10.0, depth=1e9)
        book.trader(f"long {asset}", 100, 10.0, 900.0, contract=asset)
    book.maker()
    return book.write(folder)


def path_of(file: Path, asset: str) -> list[tuple[float, float]]:
    content = yaml.safe_load(file.read_text())
    return [(seconds, move) for seconds, move in content["shock"][asset]]


def moves(*ratios: float) -> list[tuple[float, float]]:
    return [(60 * number, pytest.approx(math.log(ratio), abs=1e-6)) for number, ratio in enumerate((1.0, *ratios))]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    tape = Tape()
    # the index is followed where there is one, whatever trades did
    tape.bars("alpha", "X", [99, 100, 50, 40], [98, 100, 90, 80])
    tape.bars("beta", "X", [99, 100, 10, 10])
    # no index anywhere: the median of the contracts' trades, each against its own price before
    tape.bars("alpha", "T", [1, 2, 1.8, 1.6])
    tape.bars("beta", "T", [1, 4, 3.2, 2.0])
    tape.bars("gamma", "T", [1, 8, 0.8, 8.0])
    # a bar without a trade and a price of no sense leave the path between the others
    tape.bars("alpha", "G", [5, 5, None, 4], seconds=60)
    tape.bars("beta", "N", [5, 5, -1, 4])
    # nothing before the event, so nothing to compare with
    tape.bars("alpha", "NEW", [None, None, 3, 2])
    return tape.publish(tmp_path / "home")


def test_a_path_is_the_index_or_the_median_of_trades(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "made" / "s.yaml"
    made = record_shock(home, Window("crash"), out)
    assert made.kinds == {"G": "trade", "N": "trade", "T": "trade", "X": "index"}
    assert (made.scenario, made.source_class) == ("crash_recorded_measured", "measured")
    assert (made.step_seconds, made.steps) == (60, 2)
    assert path_of(out, "X") == moves(0.9, 0.8)
    assert path_of(out, "T") == moves(0.8, 0.8)
    for asset in "GN":
        assert path_of(out, asset) == [(0, 0), (120, pytest.approx(math.log(0.8), abs=1e-6))]


def test_one_venue_and_a_shorter_time(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "s.yaml"
    made = record_shock(home, Window("crash", ("beta",), 60), out)
    assert made.kinds == {"T": "trade", "X": "trade"}
    assert path_of(out, "X") == moves(0.1)
    assert path_of(out, "T") == moves(0.8)
    assert made.steps == 1


def test_the_weakest_price_names_the_scenario_and_the_finest_bars_are_taken(tmp_path: Path) -> None:
    tape = Tape()
    tape.bars("alpha", "X", [100, 100, 90, 80], source_class="synthetic")
    tape.bars("beta", "X", [100, 100, 50], seconds=300)
    tape.bars("beta", "Y", [100, 100, 50], seconds=300)
    made = record_shock(tape.publish(tmp_path / "home"), Window("crash"), tmp_path / "s.yaml")
    assert made.scenario == "crash_recorded_synthetic"
    assert path_of(tmp_path / "s.yaml", "X") == moves(0.9, 0.8)
    assert path_of(tmp_path / "s.yaml", "Y") == [(0, 0), (300, pytest.approx(math.log(0.5), abs=1e-6))]
    assert (made.step_seconds, made.steps) == (60, 5)


def test_a_replay_follows_it_over_a_book(home: Home, tmp_path: Path) -> None:
    book = book_of(tmp_path / "book", "X", "OTHER")
    made = record_shock(home, Window("crash"), tmp_path / "s.yaml", book=book)
    assert made.still == ("OTHER",)
    assert set(made.kinds) == {"X"}
    result = run_replay(book, tmp_path / "s.yaml")
    index = {(row["step"], row["contract"]): row["index_price"] for row in result.table("stress_path").to_pylist()}
    assert [index[step, "X"] for step in range(3)] == pytest.approx([10, 9, 8], rel=1e-6)
    assert [index[step, "OTHER"] for step in range(3)] == [10, 10, 10]
    # recorded prices contain what forced flow did: the marks follow them and nothing else
    assert {row["mark_price"] for row in result.table("stress_path").to_pylist()} == set(index.values())


def test_the_other_keys_are_those_of_a_scenario(home: Home, tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(
        "scenario: mine\nclock: {step_seconds: 7, steps: 9, max_rounds: 50}\nshock: {all: [[0, -0.5]]}\ndepth: {multiplier: 2}\n"
    )
    record_shock(home, Window("crash"), tmp_path / "s.yaml", base=base)
    content = yaml.safe_load((tmp_path / "s.yaml").read_text())
    assert content["depth"] == {"multiplier": 2}
    assert content["clock"] == {"step_seconds": 60, "steps": 2, "max_rounds": 50}
    assert "mark" not in content
    assert "all" not in content["shock"]


def test_refusals_write_nothing(home: Home, tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    out = tmp_path / "s.yaml"
    for window, target, said in (
        (Window("boom"), out, r"--event \[boom\].*no such event.*name one of crash"),
        (Window("crash", ("delta",)), out, r"--venue \[delta\].*no prices of this venue.*alpha, beta, gamma"),
        (Window("crash"), there, r"there.yaml\].*is there already"),
    ):
        with pytest.raises(RecordInputError, match=said):
            record_shock(home, window, target)
    with pytest.raises(RecordInputError, match="no prices before and after the event of an asset of the book"):
        record_shock(home, Window("crash"), out, book=book_of(tmp_path / "book", "OTHER"))
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("scenario: x\nshock: {all: [[0, -0.1]]}\nnonsense: 1\n")
    with pytest.raises(ReplayInputError, match="nonsense"):
        record_shock(home, Window("crash"), out, base=wrong)
    assert there.read_text() == "mine"
    assert not out.exists()


def test_the_command_says_what_it_wrote(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_HOME", str(home.root))
    book = book_of(tmp_path / "book", "X", "OTHER")
    call = ["shock", "--event", "crash", "--book", str(book), "--out", str(tmp_path / "s.yaml")]
    done = CliRunner().invoke(cli, call)
    assert done.exit_code == 0, done.output
    assert "2 steps of 60 s" in done.output
    assert "without a move: OTHER" in done.output
    again = CliRunner().invoke(cli, call)
    assert again.exit_code != 0
