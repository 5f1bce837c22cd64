"""Published figures: what the seed says of each, and what measured data of one event make of them."""

import csv
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from dagster_project.lib.home import PROJECT_ROOT

pytestmark = pytest.mark.xdist_group("dbt_reconciliation")

DAY = date(2025, 10, 10)
MIDNIGHT = datetime(2025, 10, 10, tzinfo=UTC)
NO_GATES = {
    "negative_equity_accounts",
    "negative_equity_accounts_302",
    "hyperliquid_adl_deficit",
    "hyperliquid_adl_deficit_once",
    "hyperliquid_total_impact",
}


@pytest.fixture(scope="module")
def figures():
    with (PROJECT_ROOT / "dbt" / "seeds" / "published_figures.csv").open() as lines:
        return {row["figure_id"]: row for row in csv.DictReader(lines)}


def test_every_figure_says_who_said_what_over_how_long(figures):
    for name, row in figures.items():
        for column in ("published_source", "definition", "days_basis", "unit", "comparison"):
            assert row[column].strip(), f"{name} {column}"


def test_ranges_hold_their_value(figures):
    for name, row in figures.items():
        assert bool(row["published_low"]) == bool(row["published_high"]), name
        if row["published_low"]:
            value = row["published_value"] or row["published_low"]
            assert float(row["published_low"]) <= float(value) <= float(row["published_high"]), name


def test_only_printed_values_are_published_values(figures):
    """Of these a range alone was printed (docs of the figures' sources): no value between its ends is a published one."""
    assert {name for name, row in figures.items() if not row["published_value"]} == {
        "average_daily_liquidations_2025",
        "btc_high_2025_date",
        "liquidated_24h_hyperliquid",
        "btc_fall",
        "eth_fall",
        "eth_low",
        "long_tail_fall",
    }


def test_figures_that_are_no_gates_say_so(figures):
    assert {name for name, row in figures.items() if row["comparison"] == "never"} == NO_GATES
    assert all(figures[name]["missing_note"].startswith("not a gate: ") for name in NO_GATES)
    assert all(figures[name]["subject"] == "not_a_gate" for name in NO_GATES)


def test_published_parts_agree_with_each_other(figures):
    """The two divisors, the parts of the top four, and both sides of the same trades, as the article has them."""
    value = {name: float(row["published_value"]) for name, row in figures.items() if row["published_value"]}
    assert value["volume_2025"] / value["average_daily_volume_2025"] == pytest.approx(324.0, abs=0.05)
    assert value["binance_volume_2025"] / value["binance_average_daily_volume_2025"] == pytest.approx(324.2, abs=0.05)
    parts = [value[f"{venue}_volume_2025"] for venue in ("binance", "okx", "bybit", "bitget")]
    assert sum(parts) == value["top_four_volume_2025"]
    assert value["hyperliquid_liquidated"] + value["hyperliquid_adl"] == pytest.approx(7.61e9, rel=1e-3)
    assert value["btc_low"] / value["btc_before_event"] - 1 == pytest.approx(-0.145, abs=5e-4)


def hours(symbol, before, low):
    """Two days of hourly bars: a high of ``before`` at 10:00, 4 % under it until 21:00, then down to ``low``."""
    rows = []
    for number in range(48):
        start = MIDNIGHT + timedelta(hours=number)
        fallen = number >= 21
        close = before * (0.9 if fallen else 0.96)
        rows.append(
            {
                "date": start.date(),
                "venue_symbol": f"'{symbol}'",
                "open_time": f"timestamptz '{start.isoformat()}'",
                "interval_seconds": 3600,
                "open": close,
                "close": close,
                "high": before if number == 10 else close,
                "low": low if number == 21 else close,
                "volume": 1.0,
                "turnover": close,
            }
        )
    return rows


def balance(pool, clock, amount):
    return {
        "date": DAY,
        "venue_symbol": f"'{pool}'",
        "event_at": f"timestamptz '2025-10-10 {clock}:00+00'",
        "asset": "'USDT'",
        "balance": amount,
    }


def deleveraging(account, clock, quantity):
    return {
        "date": DAY,
        "venue_symbol": "'BTC'",
        "event_time": f"timestamptz '2025-10-10 {clock}+00'",
        "side": "'short'",
        "quantity": quantity,
        "price": 100_000.0,
        "account": f"'{account}'",
        "event_key": f"'{account} {clock}'",
    }


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory, raw_world, run_dbt):
    """BTC fell by 13.4 % from its close before 20:50 on one venue, ETH by 30 %; the fund lost 188 M in two pools."""
    work = tmp_path_factory.mktemp("figures")
    world = raw_world(work / "raw")
    bars = hours("BTCUSDT", 122_500.0, 101_800.0) + hours("ETHUSDT", 4_400.0, 2_957.0)
    world.add("binance__klines", bars, product="'um'")
    pools = [
        ("USDT", "20:00", 1_000e6),
        ("USDT", "22:00", 850e6),
        ("BTCUSDT", "20:00", 230e6),
        ("BTCUSDT", "22:00", 192e6),
    ]
    world.add("binance__insurance_funds", [balance(*pool) for pool in pools], product="'um'")
    fills = [("a", "21:16:04.831", 3.0), ("a", "21:20:00", 3.0), ("b", "21:26:57", 4.0), ("c", "21:40:00", 90.0)]
    world.add("hyperliquid__adl_fills", [deleveraging(*fill) for fill in fills], product="'perp'")
    done = run_dbt(world.root, work, "build", "--exclude-resource-type", "test", "--select", "+fct_reconciliation")
    assert done.returncode == 0, done.stdout[-4000:]
    with duckdb.connect(str(work / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select figure_id, status, computed_value, source_class, note from marts.fct_reconciliation"
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def test_every_figure_of_the_seed_has_a_verdict_and_a_note(verdicts, figures):
    assert verdicts.keys() == figures.keys()
    assert all(note for *_, note in verdicts.values())


def test_own_data_come_before_arithmetic(verdicts):
    """1000 + 230 before, 850 + 192 after: 188 M less, where the rounded published balances give 190 M."""
    for name, value in (("before", 1_230e6), ("after", 1_042e6), ("change", -188e6)):
        assert verdicts[f"binance_fund_{name}"][:3] == ("match", pytest.approx(value), "measured")


def test_lower_low_of_one_venue_is_explained_while_the_fall_is_the_published_one(verdicts):
    """101800 / (122500 x 0.96) - 1 = -13.4 %; 2957 / (4400 x 0.96) - 1 = -30 %, which no composite explains."""
    assert verdicts["btc_before_event"][:2] == ("match", 122_500.0)
    assert verdicts["btc_fall"][:2] == ("match", pytest.approx(-0.13435, abs=1e-5))
    status, low, _, note = verdicts["btc_low"]
    assert (status, low) == ("explained", 101_800.0)
    assert "-13.4 %" in note
    assert verdicts["eth_fall"][0] == "conflict"
    assert verdicts["eth_low"][:2] == ("conflict", 2_957.0)


def test_accounts_are_counted_in_the_twelve_minutes(verdicts):
    """Account a took 6 of 10 BTC in two fills; the fill of 21:40 is outside. A complete feed of three fills conflicts."""
    assert verdicts["hyperliquid_adl_fills"][:2] == ("conflict", 3.0)
    assert verdicts["hyperliquid_adl_accounts"][:2] == ("conflict", 2.0)
    assert verdicts["hyperliquid_adl_top_1_share"][:2] == ("conflict", pytest.approx(0.6))
    assert verdicts["hyperliquid_adl_top_100_share"][1] == pytest.approx(1.0)


def test_what_cannot_be_computed_says_why(verdicts, figures):
    for name in ("accounts_liquidated_24h", "altcoin_depth_before", "timeline_makers_withdraw", "binance_compensation"):
        assert verdicts[name][:2] == ("not_computable", None)
        assert verdicts[name][3].startswith("not computable: ")
    assert {verdicts[name][0] for name in NO_GATES} == {"not_computable"}
    assert verdicts["hyperliquid_total_impact"][1] == pytest.approx(7_614_154_356)
