"""The recorder against venues that behave as documented, and against venues and networks that do not."""

import asyncio
import errno
import json
import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from recorder_tools import FAST, events, gap_rows, hearing, landed, messages, on_disk, recording, status_of, until
from stream_server import bybit_push, okx_push, order, serving

from dagster_project.fetch.client import StoppedError
from dagster_project.lib.errors import DataError, DeleverError, UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.recorder import observe
from dagster_project.recorder.topics import utc_now
from dagster_project.recorder.venues import Binance, Bybit, Okx

ORDERS = "!forceOrder@arr"


def now_ms() -> int:
    return int(utc_now().timestamp() * 1000)


def listed(**categories: list[str]):
    """A venue's list of contracts."""
    return lambda category: categories.get(category, [])


def test_binance_messages_land_as_received_with_their_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance()) as (recorder, said):
                await hearing(home, venue)
                await venue.push(*sent)
                await until(lambda: len(on_disk(home, "binance")) == 2)
                assert said == []
                assert "2 messages" in recorder.summary()

    sent = [order("BTCUSDT", now_ms()), order("BTCUSD_PERP", now_ms(), product=2)]
    before = utc_now()
    asyncio.run(run())
    rows = landed(home, "binance")
    assert [message for _, _, message in rows] == sent
    assert {topic for _, topic, _ in rows} == {ORDERS}
    assert all(before <= received <= utc_now() for received, _, _ in rows)
    assert [event[:2] for event in events(home, "binance")] == [("cm", "BTCUSD_PERP"), ("um", "BTCUSDT")]
    (entry,) = Landing(home.landing).files("binance", "liquidations")
    assert (entry.reader, entry.completeness, entry.source_class) == ("stream_parquet", "sampled", "measured")
    assert entry.path.startswith(f"binance/liquidations/{before:%Y-%m-%d}/binance-{before:%Y%m%dT%H}")
    assert not list((home.root / "recorder" / "binance").glob("*.p*"))
    (seen,) = observe(home)
    assert (seen.feed, seen.state, seen.messages, seen.segments_landed) == ("binance", "stopped", 2, 1)


def test_bybit_subscribes_both_categories_and_answers_nothing_but_pings(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving("bybit") as venue:
            monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
            async with recording(home, Bybit(None, listed(linear=many, inverse=["BTCUSD"]))):
                await until(lambda: len(venue.subscribed) == 2 and len(venue.received) > 10)
                await venue.push(bybit_push("BTCUSDT", now_ms(), "1", "1"))
                await until(lambda: len(on_disk(home, "bybit")) == 2)
            asked = [json.loads(text) for text in venue.received]
            topics = [arg for frame in asked if frame["op"] == "subscribe" for arg in frame["args"]]
            assert sorted(topics) == sorted(f"allLiquidation.{symbol}" for symbol in [*many, "BTCUSD"])
            assert {frame["op"] for frame in asked} == {"subscribe", "ping"}

    many = [f"COIN{number}USDT" for number in range(250)]
    asyncio.run(run())
    # The double pushes to both connections; where a message was received says its market.
    assert {topic for _, topic, _ in landed(home, "bybit")} == {"linear/allLiquidation", "inverse/allLiquidation"}
    assert len(events(home, "bybit")) == 4
    (entry,) = Landing(home.landing).files("bybit", "liquidations")
    assert entry.completeness == "complete"


def test_okx_pongs_are_noted_and_not_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("okx") as venue:
            monkeypatch.setenv("DELEVER_URL_OKX_STREAM", venue.url)
            async with recording(home, Okx()):
                await hearing(home, venue)
                await venue.push(okx_push("IOST-USDT-SWAP", now_ms()))
                await until(lambda: on_disk(home, "okx"))
                heard = status_of(home, "okx").last_heard_at
                await until(lambda: venue.received.count("ping") > 2)
                await until(lambda: status_of(home, "okx").last_heard_at > heard)
            subscription = {"channel": "liquidation-orders", "instType": "SWAP"}
            assert json.loads(venue.received[0])["args"] == [subscription]

    asyncio.run(run())
    assert len(messages(home, "okx")) == 1
    assert [event[:2] for event in events(home, "okx")] == [("swap", "IOST-USDT-SWAP")]


@pytest.mark.parametrize("how", ["closed", "cut", "inside a message"])
def test_a_lost_connection_is_made_again_and_its_gap_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    moments = {}

    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, ping_seconds=60)):
                await hearing(home, venue)
                await venue.push(first)
                await until(lambda: on_disk(home, "binance"))
                moments["before"] = utc_now()
                if how == "closed":
                    await venue.close(1001, "going away")
                elif how == "cut":
                    venue.cut()
                else:
                    await venue.cut_inside_a_message(lost)
                moments["cut"] = utc_now()
                await until(lambda: venue.connections == 2)
                await hearing(home, venue)
                await venue.push(first, second)
                await until(lambda: len(on_disk(home, "binance")) == 3)
                moments["after"] = utc_now()
                await until(lambda: status_of(home, "binance").reconnects == 1)

    first, lost, second = (order("BTCUSDT", now_ms() + at, number=at) for at in (1, 2, 3))
    asyncio.run(run())
    # The venue sent the first one again after the reconnection: kept twice, one event.
    assert messages(home, "binance") == [first, first, second]
    assert len(events(home, "binance")) == 2
    start, gap = gap_rows(home)
    assert (start.cause, start.note) == ("not_running", "first recording")
    assert (gap.cause, gap.topic, gap.feed, gap.venue) == ("disconnected", ORDERS, "binance", "binance")
    received = landed(home, "binance")[0][0]
    if how == "closed":
        assert moments["before"] <= gap.gap_from_at
        assert "1001 going away" in gap.note
    else:
        # Nobody said farewell: the gap begins with the last frame that came, the message or a pong.
        assert received <= gap.gap_from_at <= moments["cut"]
    assert gap.gap_from_at < gap.gap_to_at < moments["after"]


@pytest.mark.parametrize("feed", ["binance", "bybit", "okx"])
def test_a_connection_that_answers_no_ping_is_given_up(home: Home, monkeypatch: pytest.MonkeyPatch, feed: str) -> None:
    venues = {"binance": Binance, "bybit": lambda: Bybit(None, listed(linear=["BTCUSDT"])), "okx": Okx}

    async def run() -> None:
        async with serving(feed, answer_protocol_pings=feed != "binance") as venue:
            monkeypatch.setenv(f"DELEVER_URL_{feed.upper()}_STREAM", venue.url)
            venue.answers_pings = False
            async with recording(home, venues[feed](), replace(FAST, idle_seconds=0.2)):
                await until(lambda: venue.connections == 2)
                await hearing(home, venue)
                venue.answers_pings = True

    asyncio.run(run())
    idle = [row for row in gap_rows(home) if row.cause == "idle"]
    assert idle
    # From the last frame: at least the idle time has passed.
    assert idle[0].gap_to_at - idle[0].gap_from_at >= timedelta(seconds=0.2)


def test_a_living_connection_is_not_given_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, idle_seconds=1.0)):
                await hearing(home, venue)
                await asyncio.sleep(2.5)
                assert venue.connections == 1

    asyncio.run(run())
    assert [row.cause for row in gap_rows(home)] == ["not_running"]


def test_a_subscription_that_says_nothing_is_made_anew_beside_the_old_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binance's older path behaves so: it accepts, answers pings and never pushes."""

    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, silence_seconds=0.3, overlap_seconds=0.5)) as (_, said):
                await until(lambda: venue.connections == 2)
                assert len(venue.open) == 2
                await until(lambda: len(venue.open) == 1)
                assert any("none was sent" in line for line in said)
                assert status_of(home, "binance").reconnects == 0

    asyncio.run(run())
    silent = [row for row in gap_rows(home) if row.cause == "idle"]
    assert silent
    assert silent[0].gap_to_at - silent[0].gap_from_at >= timedelta(seconds=0.3)


def test_a_storm_of_reconnections_waits_longer_each_time_and_loses_no_message(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def greet_and_go(socket, number: int) -> None:
        opened.append(asyncio.get_running_loop().time())
        await socket.send(order("BTCUSDT", now_ms() + number, number=number))
        if number <= storm:
            await socket.close(1012, "restart")

    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            venue.on_open = greet_and_go
            waits = replace(FAST, backoff_first_seconds=0.02, backoff_most_seconds=0.16)
            async with recording(home, Binance(), waits):
                await until(lambda: venue.connections == storm + 1 and len(on_disk(home, "binance")) == storm + 1)
                await until(lambda: status_of(home, "binance").reconnects == storm)

    storm = 6
    opened: list[float] = []
    asyncio.run(run())
    assert len(messages(home, "binance")) == storm + 1
    gaps = [row for row in gap_rows(home) if row.cause == "disconnected"]
    assert len(gaps) == storm
    # 0.02, 0.04, 0.08 and then 0.16, each drawn from its upper half.
    least = [0.01, 0.02, 0.04, 0.08, 0.08, 0.08]
    assert all(later - earlier >= wait for earlier, later, wait in zip(opened, opened[1:], least, strict=False))


@pytest.mark.parametrize(
    ("status", "says"), [(451, "does not serve this region"), (404, "no stream"), (302, "redirected"), (401, "key")]
)
def test_a_handshake_that_is_refused_for_good_ends_the_feed(
    home: Home, monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            venue.statuses = [status]
            async with recording(home, Binance()):
                await until(lambda: status_of(home, "binance").state == "refused")
            assert venue.connections == 0

    with pytest.raises(StoppedError, match=says):
        asyncio.run(run())
    assert {row.cause for row in gap_rows(home)} == {"venue_refused"}
    (seen,) = observe(home)
    assert says in (seen.error or "")


def test_a_ban_is_waited_out_and_server_errors_are_tried_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            venue.statuses = [403, 503, 502]
            started = asyncio.get_running_loop().time()
            async with recording(home, Binance()) as (_, said):
                await hearing(home, venue)
                assert asyncio.get_running_loop().time() - started >= FAST.banned_seconds
                assert [line.partition("HTTP ")[2][:3] for line in said] == ["403", "503", "502"]

    asyncio.run(run())
    before, gap = gap_rows(home)
    assert (before.cause, gap.cause) == ("not_running", "disconnected")
    assert before.gap_to_at == gap.gap_from_at
    assert gap.gap_to_at - gap.gap_from_at >= timedelta(seconds=FAST.banned_seconds)


def test_okx_refusing_the_channel_ends_the_feed_with_its_words(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("okx") as venue:
            monkeypatch.setenv("DELEVER_URL_OKX_STREAM", venue.url)
            venue.bad_topics = {json.dumps({"channel": "liquidation-orders", "instType": "SWAP"})}
            async with recording(home, Okx()):
                await until(lambda: status_of(home, "okx").state == "refused")
            assert venue.connections == 1

    with pytest.raises(StoppedError, match="60018 Wrong URL or channel"):
        asyncio.run(run())


def test_bybit_leaves_out_a_listed_contract_that_it_refuses_and_tells_its_gap(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving("bybit") as venue:
            monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
            venue.bad_topics = {"allLiquidation.ODDUSDT"}
            async with recording(home, Bybit(None, listed(linear=["AUSDT", "BUSDT", "ODDUSDT"]))) as (_, said):
                await hearing(home, venue)
                await venue.push(bybit_push("AUSDT", now_ms(), "1"))
                await until(lambda: on_disk(home, "bybit"))
                assert any("ODDUSDT" in line for line in said)
            # Started again, the venue takes the contract.
            venue.bad_topics = set()
            async with recording(home, Bybit(None, listed(linear=["AUSDT", "BUSDT", "ODDUSDT"]))):
                await hearing(home, venue)
                await until(lambda: status_of(home, "bybit").topics["linear/allLiquidation.ODDUSDT"].lost_at is None)

    asyncio.run(run())
    rows = [row for row in gap_rows(home) if row.topic == "linear/allLiquidation.ODDUSDT"]
    assert [row.cause for row in rows] == ["venue_refused", "not_running"]
    assert "handler not found" in rows[0].note
    assert rows[0].gap_to_at == rows[1].gap_from_at
    assert messages(home, "bybit") != []


def test_bybit_refusing_a_contract_that_the_user_named_ends_the_feed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving("bybit") as venue:
            monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
            venue.bad_topics = {"allLiquidation.ODDUSDT"}
            async with recording(home, Bybit(["AUSDT", "ODDUSDT"], listed(linear=["AUSDT", "ODDUSDT", "ZUSDT"]))):
                await until(lambda: status_of(home, "bybit").state == "refused")

    with pytest.raises(StoppedError, match=r"allLiquidation\.ODDUSDT.*handler not found"):
        asyncio.run(run())


def test_a_contract_that_the_venue_does_not_list_is_the_users_error(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with recording(home, Bybit(["NOPEUSDT"], listed(linear=["AUSDT"]))):
            await until(lambda: status_of(home, "bybit").state == "failed")

    with pytest.raises(UsageError, match="NOPEUSDT"):
        asyncio.run(run())


def test_some_contracts_are_a_partial_recording(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("bybit") as venue:
            monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
            async with recording(home, Bybit(["AUSDT"], listed(linear=["AUSDT", "BUSDT"]))):
                await hearing(home, venue)
                await venue.push(bybit_push("AUSDT", now_ms(), "1"))
                await until(lambda: on_disk(home, "bybit"))
            assert json.loads(venue.received[0])["args"] == ["allLiquidation.AUSDT"]

    asyncio.run(run())
    (entry,) = Landing(home.landing).files("bybit", "liquidations")
    assert entry.completeness == "partial"


def test_a_new_listing_is_subscribed_without_a_gap(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    contracts = ["AUSDT"]

    async def run() -> None:
        async with serving("bybit") as venue:
            monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
            ask = lambda category: list(contracts) if category == "linear" else []  # noqa: E731
            async with recording(home, Bybit(None, ask), replace(FAST, listing_seconds=0.05)):
                await hearing(home, venue)
                contracts.append("NEWUSDT")
                await until(lambda: any("NEWUSDT" in text for text in venue.received))
                await until(lambda: len(venue.open) == 1)
                await venue.push(bybit_push("NEWUSDT", now_ms(), "1"))
                await until(lambda: on_disk(home, "bybit"))

    asyncio.run(run())
    assert [row.cause for row in gap_rows(home)] == ["not_running"]
    assert [event[1] for event in events(home, "bybit")] == ["NEWUSDT"]


def test_a_list_of_contracts_that_cannot_be_had_is_asked_for_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([DataError("busy"), DataError("busy"), ["AUSDT"], [], ["AUSDT"], []])

    def ask(_: str) -> list[str]:
        answer = next(answers)
        if isinstance(answer, DataError):
            raise answer
        return answer

    async def run() -> None:
        async with serving("bybit") as venue:
            monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
            async with recording(home, Bybit(None, ask)) as (_, said):
                await hearing(home, venue)
                assert [line for line in said if "busy" in line] == said

    asyncio.run(run())
    (gap,) = gap_rows(home)
    assert gap.cause == "not_running"


def test_garbage_is_kept_as_it_is_and_ends_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    garbage = [
        "not json",
        "",
        '{"e":"forceOrder"',
        "[]",
        "null",
        '{"e":["forceOrder"],"o":7}',
        'line\nbreak \x00 \u2028 \U0001f4a5 "quoted" \\',
        "[" * 3000,
    ]

    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance()) as (_, said):
                await hearing(home, venue)
                await venue.push(*garbage, good)
                await until(lambda: status_of(home, "binance").messages == 1)
                assert status_of(home, "binance").unrecognised == len(garbage)
                assert len(said) == 1
                assert venue.connections == 1

    good = order("BTCUSDT", now_ms())
    asyncio.run(run())
    assert messages(home, "binance") == [*garbage, good]


def test_bytes_that_are_no_text_do_not_end_the_recorder(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance()):
                await hearing(home, venue)
                await venue.push(b"\xff\xfe\x00")
                await until(lambda: len(on_disk(home, "binance")) == 1)
                # A text frame must be UTF-8: the protocol ends the connection.
                for socket in list(venue.subscribed):
                    socket.protocol.send_text(b"\xff\xfe")
                    socket.send_data()
                await until(lambda: venue.connections == 2)
                await hearing(home, venue)
                await venue.push(good)
                await until(lambda: len(on_disk(home, "binance")) == 2)

    good = order("BTCUSDT", now_ms())
    asyncio.run(run())
    assert messages(home, "binance") == ["\\xff\\xfe\x00", good]


def test_a_giant_message_costs_its_connection_and_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, max_message_bytes=10_000)):
                await hearing(home, venue)
                await venue.push("x" * 9_999)
                await until(lambda: on_disk(home, "binance"))
                await venue.push("x" * 200_000)
                await until(lambda: venue.connections == 2)
                await hearing(home, venue)

    asyncio.run(run())
    assert [len(message) for message in messages(home, "binance")] == [9_999]
    assert any("more than 10000 bytes" in row.note for row in gap_rows(home))


def test_connections_are_replaced_before_the_venue_ends_them(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, renew_seconds=0.2)):
                await hearing(home, venue)
                for number in range(40):
                    await until(lambda: venue.subscribed)
                    await venue.push(order("BTCUSDT", now_ms() + number, number=number))
                    await asyncio.sleep(0.02)
                await until(lambda: venue.connections > 3)
                await until(lambda: status_of(home, "binance").renewals > 1)

    asyncio.run(run())
    # Some came on two connections; none on neither.
    assert len(messages(home, "binance")) >= 40
    assert len(events(home, "binance")) == 40
    assert [row.cause for row in gap_rows(home)] == ["not_running"]


def test_a_notice_that_the_venue_will_close_is_acted_upon_at_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = json.dumps(
        {"event": "notice", "code": "64008", "msg": "The connection will soon be closed.", "connId": "c"}
    )

    async def run() -> None:
        async with serving("okx") as venue:
            monkeypatch.setenv("DELEVER_URL_OKX_STREAM", venue.url)
            async with recording(home, Okx()):
                await hearing(home, venue)
                await venue.push(notice)
                await until(lambda: venue.connections == 2 and len(venue.open) == 1)

    asyncio.run(run())
    assert [row.cause for row in gap_rows(home)] == ["not_running"]
    assert messages(home, "okx") == []


@pytest.mark.parametrize("seconds", [-30, 30])
def test_clocks_that_disagree_are_told_once_and_noted(
    home: Home, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, skew_least=3, skew_messages=5)) as (_, said):
                await hearing(home, venue)
                for number in range(8):
                    await venue.push(order("BTCUSDT", now_ms() + seconds * 1000, number=number))
                await until(lambda: status_of(home, "binance").skew_ms is not None)
                await until(lambda: len(said) == 1)
                skew = status_of(home, "binance").skew_ms
                assert skew is not None
                assert abs(skew + seconds * 1000) < 2000
                for number in range(8):
                    await venue.push(order("BTCUSDT", now_ms(), number=number))
                await until(lambda: abs(status_of(home, "binance").skew_ms or 0) < 5000)
                assert len(said) == 1
                assert "clock" in said[0]

    asyncio.run(run())
    (noted,) = [row for row in gap_rows(home) if row.cause == "clock_skew"]
    assert noted.gap_from_at < noted.gap_to_at
    told = re.search(r"median ([+-][0-9.]+) s over [0-9]+ messages", noted.note)
    assert told is not None
    assert float(told[1]) == pytest.approx(-seconds, abs=2)


def test_segments_end_on_their_boundary_and_hold_each_message_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, segment_seconds=1.0)):
                await hearing(home, venue)
                for number in range(30):
                    sent.append(order("BTCUSDT", now_ms() + number, number=number))
                    await venue.push(sent[-1])
                    await asyncio.sleep(0.08)
                await until(lambda: status_of(home, "binance").segments_landed >= 2)

    sent: list[str] = []
    asyncio.run(run())
    assert messages(home, "binance") == sent
    entries = Landing(home.landing).files("binance", "liquidations")
    assert len(entries) >= 3
    assert len({entry.path for entry in entries}) == len(entries)
    rows = landed(home, "binance")
    assert len({received.replace(microsecond=0) for received, _, _ in rows}) == len(entries)


def test_an_open_gap_can_be_read_before_it_ends(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        # Port 9 refuses: nobody listens there.
        async with recording(home, Binance(), replace(FAST, segment_seconds=0.3)) as (recorder, said):
            await until(lambda: len(gap_rows(home)) >= 3)
            assert "1 topics not heard" in recorder.summary()
            assert len(said) == 1

    asyncio.run(run())
    rows = gap_rows(home)
    assert rows[0].cause == "not_running"
    assert {row.cause for row in rows[1:]} == {"disconnected"}
    assert "no connection to ws://127.0.0.1:9/" in rows[-1].note
    assert all(row.gap_to_at == after.gap_from_at for row, after in pairwise(rows))


def test_the_time_between_two_runs_is_a_gap(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("okx") as venue:
            monkeypatch.setenv("DELEVER_URL_OKX_STREAM", venue.url)
            for _ in range(2):
                async with recording(home, Okx()):
                    await hearing(home, venue)
                    await until(lambda: status_of(home, "okx").last_heard_at)
                    stopped.append(status_of(home, "okx").last_heard_at)
                await asyncio.sleep(0.2)

    stopped = []
    asyncio.run(run())
    first, second = gap_rows(home)
    assert (first.note, second.note) == ("first recording", "")
    assert second.cause == "not_running"
    assert second.gap_from_at >= stopped[0]
    assert second.gap_to_at - second.gap_from_at >= timedelta(seconds=0.2)


def test_a_segment_that_cannot_be_landed_is_kept_and_landed_later(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, segment_seconds=0.5)) as (_, said):
                await hearing(home, venue)
                await venue.push(sent)
                await until(lambda: any("not landed yet" in line for line in said))
                await until(lambda: status_of(home, "binance").segments_waiting == 1)
                manifest.unlink()
                await until(lambda: status_of(home, "binance").segments_landed == 1)

    sent = order("BTCUSDT", now_ms())
    manifest = home.landing / "binance" / "liquidations" / f"{utc_now():%Y-%m-%d}" / "_manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("damaged")
    asyncio.run(run())
    assert messages(home, "binance") == [sent]


def test_a_disk_that_takes_nothing_ends_the_recorder_and_is_not_counted_as_hearing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run() -> None:
        async with serving("binance") as venue:
            monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
            async with recording(home, Binance(), replace(FAST, ping_seconds=60)):
                await hearing(home, venue)
                await asyncio.sleep(0.1)
                saved.append(status_of(home, "binance").topics[ORDERS].heard_at)
                monkeypatch.setattr("os.fdatasync", full)
                await venue.push(order("BTCUSDT", now_ms()))
                await until(lambda: status_of(home, "binance").state == "failed")

    saved: list[object] = []
    with pytest.raises(DeleverError, match="No space left on device"):
        asyncio.run(run())
    (seen,) = observe(home)
    assert "No space left" in (seen.error or "")
    assert seen.topics[ORDERS].heard_at == saved[0]
