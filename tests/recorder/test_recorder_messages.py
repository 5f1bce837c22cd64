"""Recorded messages become liquidations as each venue documents its fields; the expected rows are worked out by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dagster_project.lib.duck import connect
from dagster_project.recorder.messages import SHAPE, liquidations

ORDER = (
    '{"e":"forceOrder","E":1789672236702,"st":1,"o":{"s":"COTIUSDT","S":"BUY","o":"LIMIT","f":"IOC","q":"288183",'
    '"p":"0.0220482","ap":"0.0219120","X":"FILLED","l":"100","z":"288183","T":1789672235690}}'
)
PUSH = (
    '{"topic":"allLiquidation.ROSEUSDT","type":"snapshot","ts":1739502303204,"data":'
    '[{"T":1739502302929,"s":"ROSEUSDT","S":"Sell","v":"20000","p":"0.04499"},'
    '{"T":1739502302929,"s":"ROSEUSDT","S":"Sell","v":"20000","p":"0.04499"}]}'
)


def okx(details: str, kind: str = "SWAP") -> str:
    return (
        '{"id":"1","arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":['
        + details
        + f'],"instFamily":"IOST-USDT","instId":"IOST-USDT-{kind}","instType":"{kind}","uly":"IOST-USDT"}}]}}'
    )


def fill(position: str, side: str, size: str = "13") -> str:
    sides = f'"posSide":"{position}","side":"{side}"'
    return f'{{"bkLoss":"0","bkPx":"0.007831","ccy":"",{sides},"sz":"{size}","ts":"1692266434010"}}'


def read(feed: str, *recorded: str, topic: str = "") -> list[dict[str, Any]]:
    """The liquidations in some messages of one file, in order of record."""
    with connect() as connection:
        connection.execute(
            "CREATE TABLE records (file_number BIGINT, record BIGINT, received_at TIMESTAMPTZ, topic VARCHAR, message VARCHAR)"
        )
        for number, message in enumerate(recorded, start=1):
            connection.execute("INSERT INTO records VALUES (7, ?, now(), ?, ?)", [number, topic, message])
        cursor = connection.execute(f"SELECT * FROM ({liquidations(feed, 'records')}) ORDER BY record, event_key")
        names = [column[0] for column in cursor.description or ()]
        assert tuple(names) == SHAPE
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_a_binance_order() -> None:
    (row,) = read("binance", ORDER)
    moment = datetime(2026, 9, 17, 19, 10, 35, 690000, UTC)
    assert row == {
        "file_number": 7,
        "record": 1,
        "feed": "binance",
        "product": "um",
        "venue_symbol": "COTIUSDT",
        "event_at": moment,
        "event_time": moment,
        "side": "buy",
        "quantity": 288183.0,
        "price": 0.0220482,
        "filled_quantity": 288183.0,
        "average_price": 0.021912,
        "order_status": "FILLED",
        "method": None,
        "event_key": "um:COTIUSDT:1789672235690:BUY:288183:0.0220482:288183",
    }


def test_binance_markets_are_told_apart_by_the_message_alone() -> None:
    coin = ORDER.replace('"st":1', '"st":2')
    unsaid = ORDER.replace('"st":1,', "")
    older = unsaid.replace("1789672236702", "1700000000000")
    other = ORDER.replace('"st":1', '"st":3')
    assert [row["product"] for row in read("binance", ORDER, coin, unsaid, older, other)] == [
        "um",
        "cm",
        None,
        "um",
        None,
    ]


def test_a_binance_order_that_is_pushed_twice_is_one_event_and_a_later_fill_another() -> None:
    again = ORDER.replace("1789672236702", "1789672237702")
    later = ORDER.replace("1789672235690", "1789672235999").replace('"z":"288183"', '"z":"288184"')
    first, second, third = (row["event_key"] for row in read("binance", ORDER, again, later))
    assert first == second != third


def test_bybit_names_the_position_and_its_topic_the_market() -> None:
    first, second = read("bybit", PUSH, topic="linear/allLiquidation#2")
    assert first["venue_symbol"] == "ROSEUSDT"
    assert first["event_time"] == datetime(2025, 2, 14, 3, 5, 2, 929000, UTC)
    assert (first["side"], first["quantity"], first["price"]) == ("sell", 20000.0, 0.04499)
    assert (first["filled_quantity"], first["average_price"], first["order_status"]) == (None, None, None)
    assert first["product"] == second["product"] == "linear"
    assert read("bybit", PUSH, topic="inverse/allLiquidation")[0]["product"] == "inverse"
    (unknown, _) = read("bybit", PUSH, topic="")
    assert unknown["product"] is None
    assert unknown["event_key"] == first["event_key"]


def test_equal_bybit_liquidations_of_one_push_are_two_events_and_a_repeated_push_none() -> None:
    keys = [row["event_key"] for row in read("bybit", PUSH, PUSH, topic="linear/allLiquidation")]
    assert len(keys) == 4
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("position", "side", "liquidated"),
    [
        ("long", "sell", "long"),
        ("short", "buy", "short"),
        # Hedge mode names the position, whatever the order's side is.
        ("long", "buy", "long"),
        # Net mode: the order that closes a long sells.
        ("net", "sell", "long"),
        ("net", "buy", "short"),
        ("net", "", None),
        ("", "sell", None),
        ("sideways", "sell", None),
    ],
)
def test_okx_position_side(position: str, side: str, liquidated: str | None) -> None:
    (row,) = read("okx", okx(fill(position, side)))
    assert row["side"] == liquidated
    assert row["event_time"] == datetime(2023, 8, 17, 10, 0, 34, 10000, UTC)
    assert (row["product"], row["venue_symbol"], row["quantity"], row["price"]) == (
        "swap",
        "IOST-USDT-SWAP",
        13.0,
        0.007831,
    )


def test_okx_events_have_one_key_however_they_are_sent_together() -> None:
    one, two = fill("short", "buy"), fill("short", "buy", "14")
    together = read("okx", okx(f"{one},{two},{one}"))
    apart = read("okx", okx(two), okx(one))
    assert len({row["event_key"] for row in together}) == 3
    assert {row["event_key"] for row in apart} < {row["event_key"] for row in together}


@pytest.mark.parametrize("feed", ["binance", "bybit", "okx"])
@pytest.mark.parametrize(
    "message",
    ["", "garbage", "null", "7", "[]", "{}", "[null]", '{"data":7}', '{"o":[]}', '{"e":"forceOrder"', '"\\ud800"'],
)
def test_what_is_no_liquidation_stays_as_a_row_that_nothing_is_known_of(feed: str, message: str) -> None:
    (row,) = read(feed, message, topic="linear/allLiquidation")
    assert (row["file_number"], row["record"], row["event_at"], row["side"], row["event_key"]) == (
        7,
        1,
        None,
        None,
        None,
    )


def test_a_message_without_liquidations_has_no_rows() -> None:
    assert read("bybit", '{"topic":"allLiquidation.A","ts":1,"data":[]}', topic="linear/allLiquidation") == []
    assert read("okx", '{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[]}') == []


@pytest.mark.parametrize("bad", ['"nan"', '"inf"', '"-Infinity"', '"1e400"', '"x"', "null", "{}", '""', "[1]"])
def test_values_that_are_no_numbers_become_null(bad: str) -> None:
    (order,) = read("binance", ORDER.replace('"q":"288183"', f'"q":{bad}').replace('"T":1789672235690', f'"T":{bad}'))
    assert (order["quantity"], order["event_at"], order["price"]) == (None, None, 0.0220482)
    (push, _) = read("bybit", PUSH.replace('"v":"20000"', f'"v":{bad}', 1), topic="linear/allLiquidation")
    assert push["quantity"] is None
    (filled,) = read("okx", okx(fill("long", "sell").replace('"sz":"13"', f'"sz":{bad}')))
    assert filled["quantity"] is None


def test_a_time_beyond_all_calendars_becomes_null() -> None:
    (row,) = read("binance", ORDER.replace('"T":1789672235690', '"T":9223372036854775807'))
    assert row["event_at"] is None
