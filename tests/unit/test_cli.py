"""The command line: what a user's mistake looks like (one screen, its exit code, no traceback) and what help says."""

import json
import sys
from pathlib import Path

import click
import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from built_homes import run_cli
from dagster_project import cli
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.sources.registry import FEEDS

USAGE, DATA, INTERNAL = 2, 3, 70
SCENARIO = PROJECT_ROOT / "scenarios" / "smallest.yaml"
SCREEN_LINES = 24

BOOK = {
    "contract": "venue,contract,base_asset,contract_type,contract_value,tier,lot_size,index_price,beta\n"
    "v,C,C,linear,,major,1,1,1\n",
    "account": "account_id,owner_id,venue,kind,margin_mode\nm,m,v,maker,cross\na,a,v,trader,isolated\n",
    "collateral": "account_id,asset,amount,price,contract\na,USDT,5,1,C\n",
    "position": "account_id,venue,contract,quantity,entry_price\na,v,C,100,1\n",
    "margin_tier": "venue,contract,notional_floor,notional_cap,maintenance_rate,maintenance_amount\nv,C,0,,0,0\n",
    "depth": "venue,contract,depth,recovery,floor\nv,C,1000000,0,0\n",
    "fund": "venue,pool,contract,balance,mode\nv,p,,10,cash_pool\n",
    "index_weight": "base_asset,venue,weight\nC,v,1\n",
}

SPEC = """\
dataset: funding
path: funding.csv
format: csv
source: mine
licence: CC0
source_class: measured
venue: {value: binance}
time: {column: when}
columns: {venue_symbol: symbol, funding_rate: rate}
constants: {base_asset: BTC}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that does not exist yet, named by the environment."""
    made = Home(tmp_path / "home")
    monkeypatch.setenv("DELEVER_HOME", str(made.root))
    monkeypatch.setenv("COLUMNS", "120")
    return made


@pytest.fixture
def call(place: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call ``main`` in this process as the installed command would."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["delever", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        else:
            code = 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of one long whose collateral is 5 % of its position."""
    folder = tmp_path / "book"
    folder.mkdir()
    for table, text in BOOK.items():
        (folder / f"{table}.csv").write_text(text)
    return folder


@pytest.fixture
def published(place: Home) -> Home:
    """A home with one small published table."""
    folder = place.root / "snapshots" / "one"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"ATTACH '{folder / 'marts.duckdb'}' AS made; CREATE SCHEMA made.marts; CREATE SCHEMA made.stress"
        )
        rows = "(VALUES ('binance', 1.5::DOUBLE), ('okx', NULL)) AS t (venue, x)"
        connection.execute(f"CREATE TABLE made.marts.dim_venue AS SELECT * FROM {rows}")
    place.published.symlink_to(Path("snapshots") / "one", target_is_directory=True)
    return place


def one_screen(text: str) -> bool:
    return 0 < len(text.strip().splitlines()) <= SCREEN_LINES and "Traceback" not in text


# Help


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_every_command_and_option_says_what_it_is(name: str) -> None:
    command = cli.cli.commands[name]
    assert command.get_short_help_str(100).endswith("."), "the list of commands would cut it"
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help or isinstance(option.type, click.Choice), f"{name} {option.opts} has no help"
    for flag in ("--help", "-h"):
        answer = CliRunner().invoke(cli.cli, [name, flag])
        assert answer.exit_code == 0
        assert f"Usage: cli {name}" in answer.output


def test_help_lists_every_exit_code() -> None:
    text = " ".join(CliRunner().invoke(cli.cli, ["--help"]).output.split())
    for said in ("0 done", "1 doctor", "2 the call", "3 data", "4 the run", "70 a fault", "130 interrupted"):
        assert said in text


@pytest.mark.parametrize("arguments", [["nosuch"], ["run", "--from", "tomorrow"], ["replay"], ["query"]])
def test_a_call_that_does_not_parse_leaves_with_2(call, arguments: list[str]) -> None:
    code, _, said = call(*arguments)
    assert code == USAGE
    assert one_screen(said)
    assert "--help" in said


# As a process of its own: the exit code that a shell sees


def test_replay_without_a_book_folder(tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    done = run_cli(
        tmp_path / "home", "replay", "--book", str(missing), "--scenario", str(SCENARIO), "--out", str(tmp_path / "out")
    )
    assert done.returncode == USAGE
    assert one_screen(done.stderr)
    assert str(missing) in done.stderr
    assert "no such folder" in done.stderr
    assert not (tmp_path / "out").exists()


def test_run_on_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = run_cli(tmp_path / "home", "run", "--profile", "files", "--landing", str(tmp_path / "nothing"))
    assert done.returncode == USAGE
    assert one_screen(done.stderr)
    assert f"{tmp_path / 'nothing'} is not a folder" in done.stderr
    assert not (tmp_path / "home").exists(), "a refused call leaves nothing behind"


def test_query_with_nothing_published(tmp_path: Path) -> None:
    done = run_cli(tmp_path / "home", "query", "SELECT 1")
    assert done.returncode == USAGE
    assert one_screen(done.stderr)
    assert "Nothing is published" in done.stderr
    assert "make demo" in done.stderr


# Run and ingest


def test_run_on_a_folder_that_declares_nothing(call, place: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "data.csv").write_text("a,b\n1,2\n")
    for command in (["run", "--profile", "files"], ["ingest", "files"]):
        code, _, said = call(*command, "--landing", tmp_path / "empty")
        assert code == USAGE
        assert one_screen(said)
        assert ".delever.yaml" in said
        assert "docs/files_source.md" in said
    assert (PROJECT_ROOT / "docs" / "files_source.md").exists()
    assert not place.root.exists()


@pytest.mark.parametrize(
    ("spec", "data", "said"),
    [
        ("dataset: [", "symbol,when,rate\nX,2025-01-01,0.1\n", "is not YAML"),
        (SPEC.replace("rate}", "rate, colour: c}"), "symbol,when,rate\nX,2025-01-01,0.1\n", "'colour' is not a column"),
        (SPEC, "symbol,when\nX,2025-01-01\n", "column 'rate' is not in the file"),
        (SPEC, "symbol,when,rate\nX,2025-01-01,much\n", "first 'much' (column 'rate', record 1)"),
    ],
)
def test_run_on_files_that_break_their_spec(call, tmp_path: Path, spec: str, data: str, said: str) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "funding.delever.yaml").write_text(spec)
    (folder / "funding.csv").write_text(data)
    code, _, printed = call("run", "--profile", "files", "--landing", folder)
    assert code == DATA
    assert one_screen(printed)
    assert said in printed
    assert "funding" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--profile", "files"], "--landing DIR"),
        (["run", "--landing", "x"], "--landing DIR"),
        (["ingest", "files"], "--landing DIR"),
        (["run", "--from", "2025-02-01", "--to", "2025-01-01"], "is after"),
        (["run", "--to", "2024-06-01"], "No day to run"),
    ],
)
def test_options_that_contradict_each_other(call, arguments: list[str], said: str) -> None:
    code, _, printed = call(*arguments)
    assert code == USAGE
    assert one_screen(printed)
    assert said in printed


def test_days_before_the_first_cannot_be_ingested(call) -> None:
    days = ["--from", "2024-01-29", "--to", "2024-01-31"]
    code, _, printed = call("ingest", "bybit", "--entity", "klines", *days, "--bases", "BTC")
    assert code == USAGE
    assert one_screen(printed)
    assert "before the first day" in printed


def test_a_source_without_its_key_names_the_key(call, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {name for (feed, _), one in FEEDS.items() if feed == "coinglass" for name in one.needs}
    for name in needs:
        monkeypatch.delenv(name, raising=False)
    code, _, printed = call("ingest", "coinglass", "--from", "2025-02-01", "--to", "2025-02-01")
    assert code == USAGE
    assert one_screen(printed)
    assert needs
    assert all(name in printed for name in needs)


def test_a_home_that_cannot_be_written(call, place: Home) -> None:
    place.root.write_text("not a folder")
    code, _, said = call("run")
    assert code == USAGE
    assert one_screen(said)
    assert "Set DELEVER_HOME" in said
    code, said, _ = call("doctor")
    assert code == 1
    assert "not a folder that you may write" in said


def test_a_home_of_another_profile(call, place: Home) -> None:
    place.root.mkdir()
    (place.root / "profile.json").write_text('{"profile": "files"}\n')
    code, _, said = call("run")
    assert code == USAGE
    assert one_screen(said)
    assert "holds the profile 'files', not 'demo'" in said


# Replay


def test_a_replay_prints_its_totals_and_writes_its_tables(call, book: Path, tmp_path: Path) -> None:
    code, shown, _ = call("replay", "--book", book, "--scenario", SCENARIO, "--out", tmp_path / "out")
    assert code == 0
    assert "liquidated_usd" in shown
    assert pq.read_table(tmp_path / "out" / "stress_summary.parquet").num_rows == 1


def test_a_replay_is_explained(call, book: Path, tmp_path: Path) -> None:
    call("replay", "--book", book, "--scenario", SCENARIO, "--out", tmp_path / "out")
    events = pq.read_table(tmp_path / "out" / "stress_event.parquet").to_pylist()
    account, venue = events[0]["account_id"], events[0]["venue"]
    code, shown, _ = call("replay", "explain", tmp_path / "out", "--account", account)
    assert code == 0
    assert len(shown.splitlines()) == sum(event["account_id"] == account for event in events)
    assert f"{account}: liquidated: {events[0]['quantity']}" in shown
    code, shown, _ = call("replay", "explain", tmp_path / "out", "--venue", venue)
    assert len(shown.splitlines()) == sum(event["venue"] == venue for event in events)
    for arguments, said in (
        ([tmp_path / "out"], "Name an account or a venue"),
        ([tmp_path / "out", "--account", "nobody"], "Nothing happened to account nobody"),
        ([tmp_path, "--account", account], "holds no stress_event.parquet"),
        (["0123456789abcdef", "--account", account], "Nothing is published"),
    ):
        code, _, printed = call("replay", "explain", *arguments)
        assert code == USAGE
        assert one_screen(printed)
        assert said in printed


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("nokey=1", "[nokey]: unknown key"),
        ("impact.nokey=1", "[impact.nokey]: unknown key"),
        ("impact", "not of the form"),
        ("impact.law=cubic", "impact.law"),
        ("impact.law=[", "not valid YAML"),
    ],
)
def test_a_replay_refuses_an_override(call, book: Path, tmp_path: Path, override: str, said: str) -> None:
    code, _, printed = call(
        "replay", "--book", book, "--scenario", SCENARIO, "--out", tmp_path / "out", "--set", override
    )
    assert code == USAGE
    assert one_screen(printed)
    assert said in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [1,\n b", "not valid YAML"), ("- 1\n", "scenario"), ("scenario: x\nshok: {}\n", "[shok]: unknown key")],
)
def test_a_replay_refuses_a_scenario(call, book: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    code, _, printed = call("replay", "--book", book, "--scenario", tmp_path / "bad.yaml", "--out", tmp_path / "out")
    assert code == USAGE
    assert one_screen(printed)
    assert said in printed
    assert "bad.yaml" in printed


def test_a_replay_refuses_a_folder_without_tables(call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, said = call("replay", "--book", tmp_path / "empty", "--scenario", SCENARIO, "--out", tmp_path / "out")
    assert code == USAGE
    assert one_screen(said)
    assert "position.parquet or position.csv" in said


def test_a_sweep_prints_a_line_a_run(call, book: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    grid = ("--grid", "depth.multiplier=[0.5,2]", "--grid", "venues.*.fund.multiplier=[1,3]")
    code, shown, _ = call("sweep", "--book", book, "--scenario", SCENARIO, "--out", out, *grid)
    assert code == 0
    lines = [line.split()[:3] for line in shown.splitlines() if line.strip()[:1].isdigit()]
    assert lines == [["1", "0.5", "1"], ["2", "0.5", "3"], ["3", "2", "1"], ["4", "2", "3"]]
    assert pq.read_table(out / "stress_summary.parquet").num_rows == 4


def test_a_sweep_with_a_run_that_fails_keeps_the_others(call, book: Path, tmp_path: Path) -> None:
    arguments = ("sweep", "--book", book, "--scenario", SCENARIO, "--out", tmp_path / "out")
    code, _, said = call(*arguments, "--set", "shock={all: [[0, -0.5]]}", "--grid", "clock.max_rounds=[1,1000]")
    assert code == DATA
    assert one_screen(said)
    assert "1 of 2 runs failed" in said and "did not come to rest" in said
    assert pq.read_table(tmp_path / "out" / "stress_summary.parquet").num_rows == 1


def test_a_sweep_of_a_plain_scenario_says_what_is_missing(call, book: Path, tmp_path: Path) -> None:
    code, _, said = call("sweep", "--book", book, "--scenario", SCENARIO, "--out", tmp_path / "out")
    assert code == USAGE
    assert one_screen(said)
    assert "--grid" in said and not (tmp_path / "out").exists()


def test_a_reverse_stress_test_says_its_bracket(call, book: Path, tmp_path: Path) -> None:
    arguments = ("reverse", "--book", book, "--scenario", SCENARIO, "--outcome", "liquidated", "--to", "20")
    code, shown, _ = call(*arguments, "--tolerance", "0.5", "--out", tmp_path / "out")
    assert code == 0
    assert "first happens between" in shown
    table = pq.read_table(tmp_path / "out" / "stress_reverse.parquet").to_pylist()
    low, high = (next(row["multiplier"] for row in table if row["bracket"] == end) for end in ("below", "beyond"))
    assert f"between {low:g} and {high:g} times" in shown and high - low <= 0.5
    code, shown, _ = call("reverse", "--list")
    assert code == 0 and "fund_empty" in shown
    for wrong in ((), ("--book", book, "--scenario", SCENARIO), (*arguments[1:5], "--outcome", "doom")):
        code, _, said = call("reverse", *wrong)
        assert code == USAGE
        assert one_screen(said)


# Query


def test_query_formats(call, published: Home, tmp_path: Path) -> None:
    sql = "SELECT * FROM dim_venue ORDER BY venue"
    code, shown, _ = call("query", sql)
    assert code == 0
    assert "binance" in shown
    assert call("query", sql, "--format", "csv")[1] == '"venue","x"\n"binance",1.5\n"okx",\n'
    assert json.loads(call("query", sql, "--format", "json")[1])[1] == {"venue": "okx", "x": None}
    file = tmp_path / "venues.parquet"
    assert call("query", sql, "--format", "parquet", "--out", file)[0] == 0
    assert pq.read_table(file).num_rows == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["SELEC 1"], USAGE),
        (["SELECT * FROM nosuch"], USAGE),
        (["SELECT 1; SELECT 2"], USAGE),
        ([""], USAGE),
        (["CREATE TABLE marts.mine AS SELECT 1"], USAGE),
        (["SELECT 1", "--format", "parquet"], USAGE),
        (["SELECT 1", "--out", "x.txt"], USAGE),
        (["SELECT error('no')"], DATA),
        (["SELECT * FROM read_text('/etc/hostname')"], DATA),
        (["SELECT 1", "--format", "csv", "--out", "/nonexistent/x.csv"], USAGE),
    ],
)
def test_query_refusals(call, published: Home, arguments: list[str], code: int) -> None:
    left, _, said = call("query", *arguments)
    assert left == code
    assert one_screen(said)


# Doctor, ui and faults of our own


def test_doctor_on_a_new_home(call, place: Home) -> None:
    code, said, _ = call("doctor")
    assert code == 0
    assert "does not exist yet" in said
    assert not place.root.exists()


def test_doctor_finds_a_landed_file_that_is_gone(call, place: Home) -> None:
    folder = place.landing / "declared" / "funding" / "files"
    folder.mkdir(parents=True)
    entry = {
        "path": "declared/funding/files/a.csv",
        "origin": "a.csv",
        "bytes": 1,
        "sha256": "0",
        "fetched_at": "2025-01-01T00:00:00Z",
        "licence": "CC0",
        "source_class": "measured",
        "completeness": "partial",
        "period_start": "2025-01-01",
        "period_end": "2025-01-01",
    }
    (folder / "_manifest.json").write_text(json.dumps([entry]))
    code, said, _ = call("doctor")
    assert code == 1
    assert "FAULT" in said
    assert "a.csv is missing" in said


def test_ui_without_the_web_pages(call, place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    code, _, said = call("ui")
    assert code == USAGE
    assert "make ui" in said
    assert not place.root.exists()


def test_a_fault_of_our_own_is_kept_in_a_file(call, place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("so it goes")

    monkeypatch.setattr("dagster_project.lib.query.answer", fail)
    code, _, said = call("query", "SELECT 1")
    assert code == INTERNAL
    assert one_screen(said)
    (kept,) = (place.root / "faults").glob("*.txt")
    assert str(kept) in said
    assert "Traceback" in kept.read_text()
