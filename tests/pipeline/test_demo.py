"""The whole demo, run by the command line as a user would: what it prints, what it publishes, and that it repeats."""

import hashlib
import json
from pathlib import Path

import duckdb
import pytest

from built_homes import Built, impossible_numbers, run_cli
from dagster_project.lib.duck import connect, literal, table_digest
from dagster_project.lib.publish import read_snapshot

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.slow]


def ask(built: Built, sql: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect(str(built.home.published_marts.resolve()), read_only=True)
    try:
        connection.execute("SET search_path = 'marts,stress'; SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def digests(built: Built) -> dict[str, str]:
    snapshot = read_snapshot(built.home)
    assert snapshot is not None
    return {f"{table.schema_name}.{table.name}": table.digest for table in snapshot.tables}


def test_prints_the_key_results_each_with_its_source_class(demo: Built) -> None:
    for title in ("Exchange share", "Liquidation tax of 2025", "10-11 October 2025", "Replay"):
        section = demo.printed.split(title, 1)[1][:1500]
        assert "synthetic" in section, title


def test_every_published_number_of_the_demo_is_flagged(demo: Built) -> None:
    for table in (
        "fct_exchange_share",
        "fct_liquidation_tax",
        "fct_event_window",
        "stress_outcome",
        "stress_path",
        "stress_summary",
    ):
        assert ask(demo, f"SELECT DISTINCT source_class FROM {table}") == [("synthetic",)], table


def test_calibrated_figures_come_out_of_the_marts(demo: Built) -> None:
    volume = ask(
        demo, "SELECT sum(volume_usd) FROM fct_exchange_share WHERE period_type = 'year' AND venue <> 'uncovered'"
    )[0][0]
    assert volume == pytest.approx(85.70e12, rel=1e-6)
    share = ask(demo, "SELECT share FROM fct_exchange_share WHERE period_type = 'year' AND venue = 'binance'")[0][0]
    assert share == pytest.approx(25.09 / 85.70, rel=1e-6)
    liquidated = ask(
        demo, "SELECT sum(liquidated_usd) FROM fct_liquidation_tax WHERE venue = 'market' AND tier = 'all'"
    )[0][0]
    # Sizes are printed with the venues' decimals, which costs up to 1e-4 of a message's value.
    assert liquidated == pytest.approx(150e9, rel=1e-4)


def test_tiers_and_venues_add_up_to_the_market(demo: Built) -> None:
    for whole, parts in (
        ("venue = 'market' AND tier = 'all'", "venue <> 'market' AND tier = 'all'"),
        ("venue = 'binance' AND tier = 'all'", "venue = 'binance' AND tier <> 'all'"),
    ):
        totals = [
            ask(demo, f"SELECT sum(liquidated_usd), sum(volume_usd) FROM fct_liquidation_tax WHERE {where}")[0]
            for where in (whole, parts)
        ]
        assert totals[0] == pytest.approx(totals[1], rel=1e-9)


def test_event_window_has_minutes_and_its_worst_minute(demo: Built) -> None:
    minutes, seconds = ask(demo, "SELECT count(DISTINCT bar_start_at), max(interval_seconds) FROM fct_event_window")[0]
    assert (minutes, seconds) == (2880, 60)
    worst = ask(
        demo,
        "SELECT strftime(bar_start_at, '%H:%M') FROM fct_event_window "
        "GROUP BY bar_start_at ORDER BY sum(liquidated_long_usd + liquidated_short_usd) DESC LIMIT 1",
    )
    assert worst == [("21:15",)]


def test_no_published_number_is_infinite_or_none(demo: Built) -> None:
    assert impossible_numbers(demo.home) == []


def test_reconciliation_never_matches_what_the_demo_was_made_from(demo: Built) -> None:
    targets = json.loads(next((demo.home.book).glob("SAMPLE.json")).read_text())
    assert targets["calibrations"], "the sample lists what it was calibrated to"
    assert ask(demo, "SELECT figure_id FROM fct_reconciliation WHERE status = 'match'") == []


def test_reconciliation_of_the_named_figures(demo: Built) -> None:
    found = dict(ask(demo, "SELECT figure_id, status FROM fct_reconciliation"))
    assert found["average_daily_volume_2025"] == "explained"
    assert found["btc_high_2025"] == found["btc_high_2025_date"] == "conflict"
    note = ask(demo, "SELECT note FROM fct_reconciliation WHERE figure_id = 'average_daily_volume_2025'")[0][0]
    assert "324" in str(note)


def test_replay_ledger_is_zero(demo: Built) -> None:
    columns = [
        str(row[0])
        for row in ask(demo, "DESCRIBE stress_ledger")
        if str(row[0])[:2] in {"i1", "i2", "i3", "i4", "i5", "i6"}
    ]
    assert len(columns) == 8
    assert ask(demo, f"SELECT {', '.join(f'sum(abs({name}))' for name in columns)} FROM stress_ledger") == [(0,) * 8]


def test_query_command_reads_it_in_every_format(demo: Built, tmp_path: Path) -> None:
    sql = "SELECT venue, rank FROM fct_exchange_share WHERE period_type = 'year' ORDER BY rank LIMIT 2"
    shown = run_cli(demo.home.root, "query", sql)
    assert "binance" in shown.stdout
    as_json = run_cli(demo.home.root, "query", sql, "--format", "json")
    assert json.loads(as_json.stdout) == [{"venue": "binance", "rank": 1}, {"venue": "okx", "rank": 2}]
    as_csv = run_cli(demo.home.root, "query", sql, "--format", "csv")
    assert as_csv.stdout.splitlines()[1] == '"binance",1'
    target = tmp_path / "a.parquet"
    assert run_cli(demo.home.root, "query", sql, "--format", "parquet", "--out", str(target)).returncode == 0
    assert duckdb.read_parquet(str(target)).fetchall() == [("binance", 1), ("okx", 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY fct_exchange_share TO '{tmp}/out.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "ATTACH '{tmp}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "DELETE FROM fct_exchange_share",
        "CREATE TABLE marts.x AS SELECT 1",
        "SET enable_external_access = true",
        "PRAGMA database_list; SELECT 1",
        "SELECT * FROM read_text('{tmp}/../**')",
        "EXPORT DATABASE '{tmp}/out'",
        "SELEC 1",
        "SELECT nothing FROM fct_exchange_share",
        "",
    ],
)
def test_query_command_does_nothing_but_read(demo: Built, tmp_path: Path, sql: str) -> None:
    before = digests(demo)
    done = run_cli(demo.home.root, "query", sql.format(tmp=tmp_path))
    assert done.returncode in {2, 3}, done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert digests(demo) == before


def test_doctor_finds_it_healthy_and_notices_damage(demo: Built) -> None:
    healthy = run_cli(demo.home.root, "doctor")
    assert healthy.returncode == 0, healthy.stdout
    victim = next((demo.home.landing / "bybit" / "funding").rglob("BTCUSDT-*.json"))
    content = victim.read_bytes()
    victim.chmod(0o644)
    victim.write_bytes(content + b" ")
    try:
        damaged = run_cli(demo.home.root, "doctor")
    finally:
        victim.write_bytes(content)
    assert damaged.returncode == 1
    assert victim.name in damaged.stdout.replace("\n", "")


def test_days_read_again_give_the_same_rows(demo: Built) -> None:
    def raw() -> dict[str, object]:
        """Rows of each file of the days read again, the bytes of every other."""
        found: dict[str, object] = {}
        with connect() as connection:
            for path in demo.home.raw.rglob("*.parquet"):
                name = path.relative_to(demo.home.raw).as_posix()
                if path.parent.name in days:
                    rows = f"read_parquet({literal(path)}, hive_partitioning=false)"
                    connection.execute(f"CREATE OR REPLACE TEMP VIEW rows_of_file AS FROM {rows}")
                    found[name] = table_digest(connection, "rows_of_file")
                else:
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    days = {f"date=2025-10-{day:02}" for day in range(9, 13)}
    before = raw()
    again = demo.home.raw / "bybit__klines" / "venue=bybit" / "date=2025-10-10" / "part.parquet"
    written = again.stat().st_mtime_ns
    # Days with every part of the sample, and one before them with the year-long parts alone. That the same rows make the same
    # marts is shown on the real files, which take a third of the time.
    done = run_cli(demo.home.root, "ingest", "sample", "--from", "2025-10-09", "--to", "2025-10-12")
    assert done.returncode == 0, done.stderr
    assert raw() == before
    assert again.stat().st_mtime_ns > written


def test_other_profile_is_refused_in_this_home(demo: Built, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\n")
    done = run_cli(demo.home.root, "run", "--profile", "files", "--landing", str(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
