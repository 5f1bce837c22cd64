"""The DefiLlama connector: against the local venue server, and on pages written here by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from asking import DAY_MS, Bench, at, bench_of, land, ms, raw_rows, set_aside

from dagster_project.lib.home import Home
from dagster_project.sources import defillama
from dagster_project.sources.dataset import build_raw
from venue_server import defillama as answers

(FEED,) = defillama.FEEDS
DAY = date(2025, 10, 10)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench_of(defillama.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def test_a_value_a_day_and_exchange(bench: Bench) -> None:
    start, end = bench.ago(9), bench.ago(1)
    bench.ask("open_interest", start, end)
    found = {
        (row["venue"], row["observed_at"]): row["open_interest"] for row in bench.rows("open_interest", start, end)
    }
    assert found == {
        (slug.replace("-", "_"), at(ms(start) + number * DAY_MS)): float(
            answers.open_interest(slug, ms(start) // DAY_MS + number)
        )
        for number in range(9)
        for _, slug, _ in answers.PROTOCOLS
    }
    rows = raw_rows(bench.home, FEED)
    assert {(row["product"], row["venue_symbol"], row["period_seconds"]) for row in rows} == {
        ("aggregate", "ALL", 86400)
    }
    assert {row["completeness"] for row in rows} == {"partial"}
    assert bench.server.requests.count("defillama") == 1, "the whole history is one answer"


def land_one(home: Home, answer: object, days: tuple[date, date] = (DAY, DAY)) -> None:
    land(home, FEED, "open_interest", {"all.json": answer}, days, product="aggregate", period_seconds="86400")


def test_venue_is_the_slug_of_the_name_that_the_chart_has(home: Home) -> None:
    seconds = ms(DAY) // 1000
    land_one(
        home,
        {
            "protocols": [
                {"name": "Hyperliquid Perps", "displayName": "Hyperliquid Perps", "slug": "hyperliquid-perps"},
                {"name": "dYdX V4", "displayName": "dYdX", "slug": "dydx-v4"},
            ],
            "totalDataChartBreakdown": [[seconds, {"Hyperliquid Perps": 5, "dYdX": "6.5", 'New "X" Perps': 7}]],
        },
    )
    build_raw(FEED.dataset, home, DAY, DAY)
    found = {row["venue"]: row["open_interest"] for row in raw_rows(home, FEED)}
    assert found == {"hyperliquid_perps": 5.0, "dydx_v4": 6.5, "new_x_perps": 7.0}


def test_day_that_still_runs_is_left_out(home: Home) -> None:
    today = datetime.now(UTC).date()
    land_one(home, {"protocols": [], "totalDataChartBreakdown": [[ms(today) // 1000, {"X": 5}]]}, (today, today))
    intake = build_raw(FEED.dataset, home, today, today)
    assert (intake.records, intake.excluded, intake.quarantined) == (1, 1, 0)


def test_value_that_is_no_number_is_set_aside(home: Home) -> None:
    land_one(home, {"protocols": [], "totalDataChartBreakdown": [[ms(DAY) // 1000, {"X": {"chain": 5}, "Y": 3}]]})
    build_raw(FEED.dataset, home, DAY, DAY)
    assert [row["venue"] for row in raw_rows(home, FEED)] == ["y"]
    assert set_aside(home, FEED) == ["open_interest is no number"]


def test_entry_that_is_no_day_is_told(home: Home) -> None:
    land_one(home, {"protocols": [], "totalDataChartBreakdown": [{"unexpected": 1}, [ms(DAY) // 1000, {"Y": 3}], [5]]})
    build_raw(FEED.dataset, home, DAY, DAY)
    assert [row["venue"] for row in raw_rows(home, FEED)] == ["y"]
    assert set_aside(home, FEED) == ["2 entries of $.totalDataChartBreakdown are no day with its values"]


def test_answer_without_the_chart_is_set_aside(home: Home) -> None:
    land_one(home, {"protocols": [], "totalDataChartBreakdown": None})
    build_raw(FEED.dataset, home, DAY, DAY)
    assert set_aside(home, FEED) == ["no list at $.totalDataChartBreakdown"]
