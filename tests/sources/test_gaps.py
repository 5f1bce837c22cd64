"""What is missing is found, and told apart by whether it can still be fetched."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing
from dagster_project.sources.feed import Cadence, Feed
from dagster_project.sources.gaps import find_gaps

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def feed(mode: str, cadence: Cadence, reach: timedelta | None = None) -> Feed:
    return Feed(
        name="venue",
        entity="tickers",
        readers={},
        origins={"rest": lambda ask: []},
        mode=mode,  # type: ignore[arg-type]
        cadence=cadence,
        licence="l",
        venue="venue",
        labels={},
        reach=reach,
    )


@pytest.fixture
def land(home: Home, tmp_path: Path):
    def put(
        start: date, end: date, *, asked_at: datetime | None = None, is_final: bool = True, task: bool = True
    ) -> None:
        name = f"{start}-{end}-{asked_at.timestamp() if asked_at else ''}.json"
        (tmp_path / name).write_text(name)
        arrival = Arrival(
            local=tmp_path / name, name=name, origin="o", licence="l", source_class="measured", completeness="complete",
            period_start=start, period_end=end, reader="r", task=name if task else None, is_final=is_final,
            context={"asked_at_ms": str(int(asked_at.timestamp() * 1000))} if asked_at else {},
        )  # fmt: skip
        Landing(home.landing).land("venue", "tickers", "b", [arrival])

    return put


def days(*numbers: int) -> list[date]:
    return [date(2026, 11, number) for number in numbers]


def test_no_gap_where_every_day_to_yesterday_landed(home: Home, land) -> None:
    land(date(2026, 11, 1), date(2026, 11, 19))
    assert find_gaps(home, [feed("history", Cadence.DAY)], NOW) == []


def test_a_missing_stretch_that_the_venue_still_has_is_to_be_fetched(home: Home, land) -> None:
    land(*days(1, 9))
    land(*days(14, 19))
    (gap,) = find_gaps(home, [feed("history", Cadence.DAY)], NOW)
    assert (gap.start, gap.end) == (datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 14, tzinfo=UTC))
    assert (gap.cause, gap.is_permanent) == ("not_fetched", False)
    assert "delever ingest venue --entity tickers --from 2026-11-10 --to 2026-11-13" in gap.note


def test_a_stretch_is_cut_where_the_venue_s_reach_ends(home: Home, land) -> None:
    land(*days(1, 9))
    land(*days(19, 19))
    lost, open_one = find_gaps(home, [feed("history", Cadence.DAY, timedelta(days=7))], NOW)
    # Now is the 20th at noon: seven days back lies within the 13th, whose first half is gone already.
    assert (lost.start, lost.end) == (datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 14, tzinfo=UTC))
    assert (lost.cause, lost.is_permanent) == ("beyond_reach", True)
    assert (open_one.start, open_one.end) == (datetime(2026, 11, 14, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC))
    assert not open_one.is_permanent


def test_a_day_that_was_fetched_while_it_lasted_is_not_covered(home: Home, land) -> None:
    land(*days(1, 18))
    land(*days(19, 19), is_final=False)
    (gap,) = find_gaps(home, [feed("history", Cadence.DAY)], NOW)
    assert gap.start == datetime(2026, 11, 19, tzinfo=UTC)


def test_a_snapshot_that_nobody_asked_for_is_lost(home: Home, land) -> None:
    asked = [datetime(2026, 11, 20, hour, minute, tzinfo=UTC) for hour, minute in ((8, 0), (8, 15), (10, 0), (10, 30))]
    asked += [NOW - timedelta(minutes=10 + 15 * step) for step in range(6)]
    for moment in asked:
        land(moment.date(), moment.date(), asked_at=moment)
    (gap,) = find_gaps(home, [feed("snapshot", Cadence.QUARTER_HOUR)], NOW)
    assert (gap.start.time().isoformat(), gap.end.time().isoformat()) == ("08:15:00", "10:00:00")
    assert (gap.cause, gap.is_permanent) == ("not_asked", True)


def test_silence_until_now_is_a_gap(home: Home, land) -> None:
    land(*days(20, 20), asked_at=NOW - timedelta(hours=2))
    (gap,) = find_gaps(home, [feed("snapshot", Cadence.QUARTER_HOUR)], NOW)
    assert (gap.start, gap.end) == (NOW - timedelta(hours=2), NOW)


def test_the_sample_asks_nobody_and_has_no_gaps(home: Home, land) -> None:
    land(date(2025, 10, 10), date(2025, 10, 11), task=False)
    assert find_gaps(home, [feed("history", Cadence.DAY)], NOW) == []
