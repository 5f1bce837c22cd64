"""What lies on disk after every kind of end: the spool, the gaps, the status."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorder_tools import gap_rows
from stream_server import order

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.raw import reading
from dagster_project.recorder import gaps, observe
from dagster_project.recorder.files import drop_torn_line, last_line
from dagster_project.recorder.gaps import Gap, GapJournal
from dagster_project.recorder.landing import Terms, is_landed, land_segment, newest_landed
from dagster_project.recorder.options import Options
from dagster_project.recorder.spool import Spool, write_parquet
from dagster_project.recorder.status import FeedStatus, TopicStatus, read_status, write_status
from dagster_project.recorder.topics import Loss, Topic

NOON = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
TERMS = Terms("wss://example.org", "test", "sampled")


def spool_in(folder: Path, *, taken: tuple[str, ...] = (), seconds: float = 3600, scope: str = "all") -> Spool:
    return Spool(folder, "binance", seconds, scope, lambda name, _: name in taken)


def held(path: Path) -> list[tuple[datetime, str, str]]:
    with connect() as connection:
        return connection.execute(f"SELECT received_at, topic, message FROM read_parquet({literal(path)})").fetchall()


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"a\n", b"a\n"),
        (b"a\nb", b"a\n"),
        (b"torn", b""),
        (b"a\n" + b"x" * 200_000, b"a\n"),
        (b"\n\n", b"\n\n"),
    ],
)
def test_a_torn_line_is_cut_off(tmp_path: Path, content: bytes, kept: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    assert drop_torn_line(path) is (content != kept)
    assert path.read_bytes() == kept
    assert last_line(path) == kept.rstrip(b"\n").rpartition(b"\n")[2]


def test_the_last_line_may_be_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"a\n" + b"y" * 150_000 + b"\n")
    assert last_line(path) == b"y" * 150_000


def test_messages_come_back_unchanged_and_in_order(tmp_path: Path) -> None:
    odd = ['{"a": 1}', "", "line\nbreak\r\n", '"quo\\ted"', "\x00\x1f", "\u2028 é \U0001f4a5", "x" * 1_000_000, "null"]
    spool = spool_in(tmp_path)
    for number, message in enumerate(odd):
        spool.append(NOON + timedelta(microseconds=number), "topic", message)
    spool.seal()
    (segment,) = spool.finished()
    assert write_parquet(segment, tmp_path / "p") == 0
    assert held(tmp_path / "p") == [
        (NOON + timedelta(microseconds=number), "topic", message) for number, message in enumerate(odd)
    ]


def test_parquet_has_the_promised_types(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(NOON, "topic", "{}")
    spool.seal()
    write_parquet(spool.finished()[0], tmp_path / "p")
    with connect() as connection:
        described = connection.execute(f"DESCRIBE FROM read_parquet({literal(tmp_path / 'p')})").fetchall()
        codec = connection.execute(
            f"SELECT DISTINCT compression FROM parquet_metadata({literal(tmp_path / 'p')})"
        ).fetchall()
    assert [row[:2] for row in described] == [
        ("received_at", "TIMESTAMP WITH TIME ZONE"),
        ("topic", "VARCHAR"),
        ("message", "VARCHAR"),
    ]
    assert codec == [("ZSTD",)]


def test_a_segment_ends_at_the_hour(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    almost = NOON + timedelta(minutes=59, seconds=59, microseconds=999_999)
    for moment in (NOON + timedelta(minutes=30), almost, NOON + timedelta(hours=1)):
        spool.append(moment, "topic", "{}")
    assert [segment.name for segment in spool.finished()] == ["binance-20261105T123000-20261105T125959"]
    assert spool.current == "20261105T130000.all.part"
    assert not spool.is_due(NOON + timedelta(hours=1, minutes=59))
    assert spool.is_due(NOON + timedelta(hours=2))


def test_segments_of_one_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, taken=("binance-20261105T120000-20261105T120000",))
    for number in range(3):
        spool.append(NOON + timedelta(milliseconds=number), "topic", str(number))
        spool.seal()
    names = [segment.name for segment in spool.finished()]
    assert names == [f"binance-20261105T120000-20261105T120000-{number}" for number in (2, 3, 4)]


def test_flushed_messages_of_a_killed_process_are_recovered_without_the_torn_line(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, scope="some")
    spool.append(NOON, "topic", "one")
    spool.append(NOON + timedelta(seconds=5), "topic", "two")
    descriptor = spool.flush()
    assert descriptor is not None
    (part,) = tmp_path.glob("*.part")
    with part.open("ab") as stream:
        stream.write(b'{"received_at":"2026-11-05T12:00:06')
    (tmp_path / "half.parquet").write_bytes(b"PAR1")
    after = spool_in(tmp_path)
    assert after.recover() == 1
    (segment,) = after.finished()
    assert (segment.name, segment.scope) == ("binance-20261105T120000-20261105T120005", "some")
    assert (segment.start, segment.end) == (NOON, NOON + timedelta(seconds=5))
    write_parquet(segment, tmp_path / "p")
    assert [message for _, _, message in held(tmp_path / "p")] == ["one", "two"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".jsonl"]


def test_a_process_killed_before_its_first_flush_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "20261105T120000.all.part").write_bytes(b'{"received')
    spool = spool_in(tmp_path)
    assert spool.recover() == 1
    assert spool.finished() == []
    assert list(tmp_path.iterdir()) == []


def test_lines_that_a_damaged_disk_left_are_counted_and_left_out(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    spool.append(NOON, "topic", "one")
    spool.seal()
    (segment,) = spool.finished()
    with segment.path.open("ab") as stream:
        stream.write(b"\x00" * 100 + b"\n" + b'{"received_at":"yesterday","message":"m"}\n')
    assert write_parquet(segment, tmp_path / "p") == 2
    assert [message for _, _, message in held(tmp_path / "p")] == ["one"]


def test_landing_a_segment_twice_changes_nothing(home: Home, tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append(NOON, "!forceOrder@arr", order("BTCUSDT", int(NOON.timestamp() * 1000)))
    spool.seal()
    (segment,) = spool.finished()
    for _ in range(2):
        write_parquet(segment, tmp_path / "p")
        land_segment(home, "binance", tmp_path / "p", segment, TERMS)
    (entry,) = Landing(home.landing).all_files()
    assert entry.path == f"binance/liquidations/2026-11-05/{segment.name}.parquet"
    assert (entry.period_start, entry.period_end) == (NOON.date(), NOON.date())
    assert Landing(home.landing).verify(entry) is None
    assert is_landed(home, "binance", segment.name, segment.start)
    assert newest_landed(home, "binance") == NOON


@pytest.mark.parametrize(
    ("event", "first", "last"),
    [
        (NOON - timedelta(days=2), "2026-11-03", "2026-11-05"),
        (NOON + timedelta(hours=13), "2026-11-05", "2026-11-06"),
        # No message is half a century late.
        (datetime(1975, 1, 1, tzinfo=UTC), "2026-11-05", "2026-11-05"),
    ],
)
def test_a_file_belongs_to_the_days_of_its_events(
    home: Home, tmp_path: Path, event: datetime, first: str, last: str
) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append(NOON, "!forceOrder@arr", order("BTCUSDT", int(event.timestamp() * 1000)))
    spool.append(NOON, "!forceOrder@arr", "garbage")
    spool.seal()
    (segment,) = spool.finished()
    write_parquet(segment, tmp_path / "p")
    land_segment(home, "binance", tmp_path / "p", segment, TERMS)
    (entry,) = Landing(home.landing).all_files()
    assert (entry.period_start.isoformat(), entry.period_end.isoformat()) == (first, last)


def gap(start: datetime, end: datetime, topic: str = "t") -> Gap:
    return Gap("okx", "okx", topic, start, end, "disconnected", "why\nnot")


def test_a_gap_over_midnight_is_a_row_for_each_day(home: Home, tmp_path: Path) -> None:
    journal = GapJournal(tmp_path)
    journal.add(gap(NOON, NOON + timedelta(days=2)))
    journal.publish(home.raw)
    rows = gap_rows(home)
    assert [row.date for row in rows] == ["2026-11-05", "2026-11-06", "2026-11-07"]
    assert [(row.gap_from_at, row.gap_to_at) for row in rows] == [
        (NOON, datetime(2026, 11, 6, tzinfo=UTC)),
        (datetime(2026, 11, 6, tzinfo=UTC), datetime(2026, 11, 7, tzinfo=UTC)),
        (datetime(2026, 11, 7, tzinfo=UTC), NOON + timedelta(days=2)),
    ]
    assert {(row.venue, row.feed, row.topic, row.cause, row.note) for row in rows} == {
        ("okx", "okx", "t", "disconnected", "why\nnot")
    }


def test_what_has_no_length_is_no_gap(home: Home, tmp_path: Path) -> None:
    journal = GapJournal(tmp_path)
    journal.add(gap(NOON, NOON))
    journal.add(gap(NOON, NOON - timedelta(seconds=1)))
    assert not journal.is_ahead
    journal.publish(home.raw)
    assert gap_rows(home) == []


def test_gaps_of_a_venue_that_is_being_read_wait(home: Home, tmp_path: Path) -> None:
    journal = GapJournal(tmp_path)
    journal.add(gap(NOON, NOON + timedelta(minutes=1)))
    journal.publish(home.raw)
    journal.add(gap(NOON + timedelta(hours=1), NOON + timedelta(hours=2)))
    journal.add(gap(NOON + timedelta(days=1), NOON + timedelta(days=1, minutes=1)))
    with reading(home.raw):
        journal.publish(home.raw)
        assert journal.is_ahead
        assert len(gap_rows(home)) == 1
    journal.publish(home.raw)
    assert not journal.is_ahead
    assert len(gap_rows(home)) == 3


def test_gaps_that_a_kill_kept_out_of_parquet_are_found(home: Home, tmp_path: Path) -> None:
    journal = GapJournal(tmp_path)
    journal.add(gap(NOON, NOON + timedelta(minutes=1)))
    journal.publish(home.raw)
    journal.add(gap(NOON + timedelta(hours=1), NOON + timedelta(hours=2)))
    journal.add(gap(NOON + timedelta(days=1), NOON + timedelta(days=1, minutes=1)))
    with journal.path.open("a") as stream:
        stream.write('{"feed": "okx", "gap_fr')
    after = GapJournal(tmp_path)
    after.find_untold(home.raw)
    assert after.is_ahead
    after.publish(home.raw)
    assert len(gap_rows(home)) == 3
    again = GapJournal(tmp_path)
    again.find_untold(home.raw)
    assert not again.is_ahead
    assert again.last_end("t") == NOON + timedelta(days=1, minutes=1)
    assert again.last_end("other") is None


def test_the_table_can_be_read_before_the_first_gap(home: Home, tmp_path: Path) -> None:
    gaps.prepare(home.raw)
    assert gap_rows(home) == []
    journal = GapJournal(tmp_path)
    journal.add(gap(NOON, NOON + timedelta(minutes=1)))
    journal.publish(home.raw)
    files = sorted((home.raw / "collector_gap").glob("*/*/part.parquet"))
    assert len(files) == 2
    with connect() as connection:
        shapes = [
            connection.execute(f"DESCRIBE FROM read_parquet({literal(path)}, hive_partitioning=false)").fetchall()
            for path in files
        ]
    assert shapes[0] == shapes[1]


def topic_in(folder: Path, **options: float) -> Topic:
    folder.mkdir(exist_ok=True)
    return Topic("okx", "t", GapJournal(folder), Options(**options))


def told(home: Home, topic: Topic) -> list[tuple[datetime, datetime, str]]:
    topic._journal.publish(home.raw)
    return [(row.gap_from_at, row.gap_to_at, row.cause) for row in gap_rows(home)]


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def test_a_topic_goes_on_where_it_was_last_heard(home: Home, tmp_path: Path) -> None:
    topic = topic_in(tmp_path / "t")
    topic.resume(TopicStatus(heard_at=minutes(0)), updated_at=minutes(1), now=minutes(9))
    topic.regain(minutes(10))
    assert told(home, topic) == [(minutes(0), minutes(10), "not_running")]


def test_a_gap_that_was_open_at_a_kill_keeps_its_cause_until_then(home: Home, tmp_path: Path) -> None:
    before = TopicStatus(heard_at=minutes(0), lost_at=minutes(1), cause="idle", note="silent", skewed_at=minutes(2))
    topic = topic_in(tmp_path / "t")
    topic.resume(before, updated_at=minutes(3), now=minutes(9))
    topic.regain(minutes(10))
    assert told(home, topic) == [
        (minutes(1), minutes(3), "idle"),
        (minutes(2), minutes(3), "clock_skew"),
        (minutes(3), minutes(10), "not_running"),
    ]


def test_a_topic_whose_status_is_lost_claims_no_more_than_is_known(home: Home, tmp_path: Path) -> None:
    topic = topic_in(tmp_path / "t")
    topic.begin(minutes(4), minutes(9))
    topic.regain(minutes(10))
    new = topic_in(tmp_path / "new")
    new.begin(None, minutes(9))
    new.regain(minutes(11))
    assert told(home, topic) == [(minutes(4), minutes(10), "not_running")]
    assert [line["note"] for line in map(json.loads, new._journal.path.read_text().splitlines())] == ["first recording"]
    assert new.open is None


def test_a_gap_keeps_its_first_cause_and_is_tiled_by_checkpoints(home: Home, tmp_path: Path) -> None:
    topic = topic_in(tmp_path / "t")
    topic.lose(Loss(minutes(0), "idle", "first"))
    topic.lose(Loss(minutes(1), "disconnected", "second"))
    topic.checkpoint(minutes(2))
    topic.end_refused(minutes(3), "no")
    topic.checkpoint(minutes(3))
    assert told(home, topic) == [(minutes(0), minutes(2), "idle"), (minutes(2), minutes(3), "venue_refused")]
    assert topic.status().lost_at == minutes(3)


@pytest.mark.parametrize(("delays", "skew"), [([1, 2, 900], 2.0), ([-7, -8], None), ([5, 5, 5, 9, 9, 9], 9.0)])
def test_skew_is_a_median_of_the_last_messages(tmp_path: Path, delays: list[float], skew: float | None) -> None:
    topic = topic_in(tmp_path / "t", skew_messages=3, skew_least=3)
    for delay in delays:
        topic.measure(NOON, int(NOON.timestamp() * 1000 - delay))
    assert topic.skew_ms == skew


def status(**more: object) -> FeedStatus:
    return FeedStatus.model_validate(
        {"feed": "okx", "venue": "okx", "state": "running", "pid": 1, "started_at": NOON, "updated_at": NOON} | more
    )


def test_recorders_are_observed_from_outside(home: Home) -> None:
    assert observe(home) == []
    for feed in ("okx", "binance"):
        folder = home.root / "recorder" / feed
        folder.mkdir(parents=True)
        write_status(folder, status(feed=feed, topics={"t": TopicStatus(heard_at=NOON)}))
    (home.root / "recorder" / "bybit").mkdir()
    (home.root / "recorder" / "bybit" / "status.json").write_text("{")
    first, second = observe(home)
    assert (first.feed, second.feed) == ("binance", "okx")
    assert second.topics["t"].heard_at == NOON
    assert first.is_running(NOON + timedelta(seconds=5))
    assert not first.is_running(NOON + timedelta(minutes=5))
    assert not status(state="stopped").is_running(NOON)


def test_a_status_of_another_version_is_read_as_far_as_it_is_known(home: Home, tmp_path: Path) -> None:
    document = json.loads(status().model_dump_json()) | {"colour": "blue"}
    (tmp_path / "status.json").write_text(json.dumps(document))
    assert read_status(tmp_path) == status()
