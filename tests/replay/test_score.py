"""The score of an event: every metric again, in plain loops over the published tables of the run."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from replay_books import Book, scenario

from dagster_project.replay.engine import ReplayResult, run_replay
from dagster_project.replay.scenario import score_bands, scored_events

EVENT = "2025_10_10"
STEP = 600.0


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ReplayResult:
    """Three venues and three assets; longs fall in waves, shorts are deleveraged, funds pay; one asset falls by 90 %."""
    made = Book()
    for place, venue in enumerate(("binance", "bybit", "hyperliquid")):
        made.maker(venue)
        made.add(
            "fund", venue=venue, pool="p", contract=None, balance=60.0 if venue == "binance" else 0.5, mode="cash_pool"
        )
        for asset, tier, beta in (("BTC", "major", 1.0), ("ETH", "mid", 1.4), ("PEPE", "tail", 12.0)):
            made.contract(venue, asset, tier=tier, lot=0.01, depth=90_000.0, beta=beta)
            made.add("index_weight", base_asset=asset, venue=venue, weight=1 / 3 if place else 1 - 2 / 3)
            for number in range(7):
                size = 100.0 * (1 + (number * 5 + place) % 4)
                made.trader(f"{venue}{asset}{number}", size, 1.0, size * (0.02 + 0.025 * number), venue, asset)
                made.trader(f"{venue}{asset}s{number}", -size, 1.0, size * 0.4, venue, asset)
            # a short that a rebound above t0 closes
            made.trader(f"{venue}{asset}late", -150.0, 1.0, 150.0 * 0.015, venue, asset)
    content = scenario(
        {"driver": "BTC", "path": [[0, 0], [1800, -0.2], [3600, 0.03]]},
        clock={"step_seconds": STEP, "steps": 6},
        mark={"own_book_weight": 0.5},
        venues={"default": {"adl": {"policy": "queue"}}},
        score=EVENT,
    )
    return run_replay(made.write(tmp_path_factory.mktemp("score") / "book"), content)


def rows(result: ReplayResult, table: str) -> list[dict[str, Any]]:
    return list(result.table(f"stress_{table}").to_pylist())


def expected(result: ReplayResult) -> dict[tuple[str, str], float | None]:
    """Every metric of the bands, from events, outcomes and funds."""
    events = rows(result, "event")
    forced = [event for event in events if event["kind"] in ("book", "backstop", "unfilled")]
    adl = [event for event in events if event["kind"] == "adl"]
    total = sum(event["notional_usd"] for event in forced)
    by_minute: defaultdict[int, float] = defaultdict(float)
    for event in forced:
        by_minute[int(event["seconds"] // 60)] += event["notional_usd"]
    outcomes = rows(result, "outcome")
    falls = [(o["contract"], o["tier"], math.expm1(o["trough_log_move"])) for o in outcomes]

    def of(venue: str, items: list[dict[str, Any]]) -> float:
        return sum(item["notional_usd"] for item in items if item["venue"] == venue)

    def interest(venue: str | None) -> float:
        picked = [o for o in outcomes if venue in (None, o["venue"])]
        before = sum(o["open_interest_before_usd"] for o in picked)
        return sum(o["open_interest_after_usd"] for o in picked) / before - 1

    mine = [event for event in adl if event["venue"] == "hyperliquid"]
    by_account: defaultdict[str, float] = defaultdict(float)
    for event in mine:
        by_account[event["account_id"]] += event["notional_usd"]
    largest = sorted(by_account.values(), reverse=True)[:10]
    started = min(event["seconds"] for event in forced if event["venue"] == "hyperliquid")
    purse = [fund for fund in rows(result, "fund") if fund["venue"] == "binance"]
    longs = sum(event["notional_usd"] for event in forced if event["quantity"] > 0)
    return {
        ("long_share", "all"): longs / total,
        **{("liquidated_share", name): of(name, forced) / total for name in ("hyperliquid", "bybit", "binance")},
        **{("trough", name): median(fall for asset, _, fall in falls if asset == name) for name in ("BTC", "ETH")},
        ("tier_median_trough", "tail"): median(fall for _, tier, fall in falls if tier == "tail"),
        ("assets_below", "-0.8"): len({asset for asset, _, fall in falls if fall < -0.8}),
        ("open_interest_change", "all"): interest(None),
        ("open_interest_change", "hyperliquid"): interest("hyperliquid"),
        ("peak_minute_share", "all"): max(by_minute.values()) / total,
        ("share_before", "2400"): sum(e["notional_usd"] for e in forced if e["seconds"] < 2400) / total,
        ("share_from", "2760"): sum(e["notional_usd"] for e in forced if e["seconds"] >= 2760) / total,
        ("adl_to_liquidated", "hyperliquid"): of("hyperliquid", adl) / of("hyperliquid", forced),
        ("seconds_to_first_adl", "hyperliquid"): min(event["seconds"] for event in mine) - started,
        ("adl_assets", "hyperliquid"): len({event["contract"] for event in mine}),
        ("adl_share_of_top_10", "hyperliquid"): sum(largest) / sum(by_account.values()),
        ("fund_change", "binance"): max(purse, key=lambda fund: fund["step"])["balance_usd"] / 60 - 1,
    }


def test_every_metric_is_what_the_run_says(result: ReplayResult) -> None:
    found = {(row["metric"], row["subject"]): row for row in rows(result, "score")}
    wanted = expected(result)
    assert found.keys() == wanted.keys() == {(band.metric, band.subject) for band in score_bands(EVENT)}
    for key, value in wanted.items():
        assert found[key]["value"] == pytest.approx(value, rel=1e-9, abs=1e-12), key
        assert found[key]["is_met"] == (found[key]["low"] <= found[key]["value"] <= found[key]["high"]), key
    # the world is rich enough to tell metrics apart
    assert 0 < wanted["long_share", "all"] < 1  # type: ignore[operator]
    assert 0 < wanted["share_from", "2760"] < 1  # type: ignore[operator]
    assert wanted["assets_below", "-0.8"] == 1
    assert wanted["adl_share_of_top_10", "hyperliquid"] < 1  # type: ignore[operator]


def test_the_score_is_the_share_of_bands_met(result: ReplayResult) -> None:
    met = [row["is_met"] for row in rows(result, "score")]
    assert 0 < sum(met) < len(met)
    assert result.summary["score"] == pytest.approx(sum(met) / len(met))


def test_what_a_run_cannot_say_is_unknown_and_not_met(tmp_path: Path) -> None:
    made = Book()
    made.contract("okx", "DOGE", tier="mid")
    made.maker("okx")
    made.trader("a", 1.0, 1.0, 0.5, "okx", "DOGE")
    run = run_replay(made.write(tmp_path / "b"), scenario(-0.01, score=EVENT))
    by_metric = {(row["metric"], row["subject"]): row for row in rows(run, "score")}
    assert by_metric["open_interest_change", "all"]["value"] == 0
    assert by_metric["assets_below", "-0.8"]["value"] == 0
    unknown = [key for key, row in by_metric.items() if row["value"] is None]
    assert set(by_metric) - set(unknown) == {("open_interest_change", "all"), ("assets_below", "-0.8")}
    assert not any(row["is_met"] for row in by_metric.values())
    assert run.summary["score"] == 0


def test_without_an_event_there_is_no_score(tmp_path: Path) -> None:
    made = Book()
    made.contract()
    made.maker()
    made.trader("a", 1.0, 1.0, 0.5)
    run = run_replay(made.write(tmp_path / "b"), scenario(-0.01))
    assert rows(run, "score") == []
    assert run.summary["score"] is None


@pytest.mark.parametrize("event", scored_events())
def test_bands_are_bounds_with_a_source(event: str) -> None:
    bands = score_bands(event)
    assert len({(band.metric, band.subject) for band in bands}) == len(bands) >= 10
    for band in bands:
        assert band.low < band.high
        assert band.source
