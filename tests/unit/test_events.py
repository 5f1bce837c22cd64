"""Events of a user: what is refused and how, what is stored, and that the checkout's list is never touched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project import cli, events
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore, columns_of
from schemas.raw import UserEvents

SHOCK = datetime(2025, 3, 3, 10, 0, tzinfo=UTC)
USAGE = 2
SCREEN_LINES = 24


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home, named by the environment."""
    made = Home(tmp_path / "home")
    monkeypatch.setenv("DELEVER_HOME", str(made.root))
    return made


@pytest.fixture
def call(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call ``delever event`` in this process."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["delever", "event", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        else:
            code = 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def plan(event_id: str = "mine", **bounds: datetime) -> events.Event:
    return events.plan(event_id, "Mine", {"shock_at": SHOCK, **bounds}, "desk")


def test_bounds_left_out_are_told_as_defaults() -> None:
    event = plan(recovery_at=SHOCK + timedelta(hours=2))
    assert event.pre_event_at == SHOCK
    assert event.window_start_at == SHOCK - timedelta(hours=24)
    assert event.cascade_at == SHOCK + timedelta(minutes=15)
    assert event.aftershock_at == SHOCK + timedelta(minutes=30)
    assert event.window_end_at == SHOCK + timedelta(hours=26)
    assert (event.shock_source, event.recovery_source) == ("desk", "desk")
    assert event.cascade_source == "default: 15 minutes after shock_at"
    assert event.aftershock_source == "default: 15 minutes after cascade_at"


@pytest.mark.parametrize("event_id", ["", "a", "Upper", "with space", "../up", "_first", "x" * 41, "a-b", "ünder"])
def test_ids_are_plain(event_id: str) -> None:
    with pytest.raises(UsageError, match="is no id"):
        plan(event_id)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "bell\a"])
def test_names_are_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        events.plan("mine", name, {"shock_at": SHOCK}, "desk")


@pytest.mark.parametrize(
    ("bound", "moved"),
    [
        ("pre_event_at", timedelta(minutes=1)),
        ("window_start_at", timedelta(minutes=1)),
        ("cascade_at", timedelta(0)),
        ("aftershock_at", timedelta(minutes=15)),
        ("recovery_at", timedelta(minutes=20)),
        ("window_end_at", timedelta(minutes=75)),
        ("window_start_at", timedelta(0)),
        ("window_end_at", timedelta(days=40)),
    ],
)
def test_bounds_follow_each_other_in_a_window_of_a_month_at_most(bound: str, moved: timedelta) -> None:
    with pytest.raises(UsageError) as refused:
        plan(**{bound: SHOCK + moved})
    assert len(str(refused.value).splitlines()) <= SCREEN_LINES
    assert refused.value.exit_code == USAGE


def test_the_future_has_no_events() -> None:
    with pytest.raises(UsageError, match="lies in the future"):
        plan(shock_at=datetime.now(UTC) + timedelta(days=1))


@pytest.mark.parametrize(
    "text", ["2025-03-03T10:00", "2025-03-03 10:00:00", "2025-03-03T10:00Z", "2025-03-03T10:00+00:00"]
)
def test_times_are_utc(text: str) -> None:
    assert events.utc(text) == SHOCK


@pytest.mark.parametrize("text", ["2025-03-03", "20250303", "noon", "", "2025-13-03T10:00", "2025-03-03T12:00+02:00"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        events.utc(text)


def test_stored_events_are_rows_of_their_model_and_come_back(home: Home) -> None:
    second = plan("second", shock_at=SHOCK + timedelta(days=3))
    assert not events.add(home, second)
    assert not events.add(home, plan())
    assert events.stored(home) == [plan(), second]
    files = sorted(path.relative_to(home.raw).as_posix() for path in home.raw.glob("user_events/*/*/*"))
    assert files == [
        "user_events/venue=_schema/date=1970-01-01/part.parquet",
        "user_events/venue=market/date=2025-03-03/part.parquet",
        "user_events/venue=market/date=2025-03-06/part.parquet",
    ]
    RawStore(home.raw, home.scratch).prepare()
    with events.connect() as connection:
        relation = f"read_parquet('{home.raw}/user_events/*/*/*.parquet', hive_partitioning=true)"
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    assert {row[0] for row in described} == set(columns_of(UserEvents))


def test_an_id_is_taken_once_and_replaced_when_asked(home: Home) -> None:
    events.add(home, plan())
    with pytest.raises(UsageError, match="--again"):
        events.add(home, plan())
    moved = plan(shock_at=SHOCK + timedelta(days=1))
    assert events.add(home, moved, again=True)
    assert events.stored(home) == [moved]
    assert not list(home.raw.glob("user_events/venue=market/date=2025-03-03/*"))


def test_events_that_come_along_stay(home: Home) -> None:
    before = events.SEED.read_bytes()
    for act in (lambda: events.add(home, plan("2025_10_10")), lambda: events.remove(home, "2025_10_10")):
        with pytest.raises(UsageError, match="comes with Delever"):
            act()
    events.add(home, plan())
    events.remove(home, "mine")
    assert events.SEED.read_bytes() == before
    assert events.stored(home) == []


def test_commands_add_list_and_remove(call) -> None:
    add = ("add", "--id", "mine", "--name", "My [red] fall", "--shock", "2025-03-03T10:00")
    assert call(*add)[0] == 0
    code, _, said = call(*add)
    assert code == USAGE
    assert "--again replaces it" in said
    assert call(*add, "--again")[0] == 0
    code, shown, _ = call("list")
    assert code == 0
    assert "My [red] fall" in shown
    assert shown.index("mine") < shown.index("2025_10_10")
    assert call("remove", "mine")[0] == 0
    code, _, said = call("remove", "mine")
    assert code == USAGE
    assert "none was added" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--id", "mine", "--name", "M"), "--shock"),
        (("--id", "mine", "--name", "M", "--shock", "noon"), "write it as 2025-10-10T20:50"),
        (("--id", "mine", "--name", "M", "--shock", "2025-03-03T12:00+02:00"), "in UTC it is 2025-03-03T10:00:00Z"),
        (("--id", "Mine", "--name", "M", "--shock", "2025-03-03T10:00"), "is no id"),
        (("--id", "mine", "--name", "M", "--shock", "2025-03-03T10:00", "--recovery", "2025-03-03T10:10"), "(default)"),
        (("--id", "2025_10_10", "--name", "M", "--shock", "2025-03-03T10:00"), "take another id"),
    ],
)
def test_mistakes_are_one_screen_and_leave_nothing(call, home: Home, arguments: tuple[str, ...], words: str) -> None:
    code, _, said = call("add", *arguments)
    assert code == USAGE
    assert words in said
    assert len(said.strip().splitlines()) <= SCREEN_LINES
    assert "Traceback" not in said
    assert events.stored(home) == []
