"""What each venue speaks: where its liquidation stream is, how it is subscribed, and what a message is.

Sources: developers.binance.com (USD-M websocket market streams, "Important WebSocket Change Notice", CM-UM integration notice),
bybit-exchange/docs (v5 websocket connect, all-liquidation), okx.com/docs-v5 (liquidation orders channel, connection count).
None of the three numbers its messages, so a message lost inside a living connection cannot be noticed by anyone.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from dagster_project.fetch.hosts import Host
from dagster_project.lib.errors import UsageError
from dagster_project.recorder.listing import Listing

BINANCE_STREAM = Host("binance_stream", "wss://fstream.binance.com", ())
BYBIT_STREAM = Host("bybit_stream", "wss://stream.bybit.com", ())
OKX_STREAM = Host("okx_stream", "wss://ws.okx.com:8443", ())


class Kind(Enum):
    """What a message is to the recorder."""

    DATA = auto()
    PONG = auto()
    CONFIRMED = auto()
    REFUSED = auto()
    LEAVING = auto()  # the venue is about to close this connection
    CONTROL = auto()
    UNKNOWN = auto()


@dataclass(frozen=True)
class Heard:
    """A message as the recorder understands it.

    Args:
        kind: What it is.
        venue_ms: The venue's time of a data message, in milliseconds since 1970.
        request: The subscription that is confirmed or refused, where the venue repeats its number.
        topic: The one topic that the venue refuses.
        text: The venue's words.
        again: The refusal is one that asking later may overcome.
    """

    kind: Kind
    venue_ms: int | None = None
    request: str = ""
    topic: str = ""
    text: str = ""
    again: bool = False


@dataclass(frozen=True)
class Stream:
    """What one connection listens to.

    Args:
        topic: Name in messages and gaps.
        url: Where.
        args: What is subscribed by message; empty where the address says it.
        span: What it covers, in words.
        silence_seconds: How long no liquidation at all is plausible; None: for ever.
    """

    topic: str
    url: str
    args: tuple[str, ...]
    span: str
    silence_seconds: float | None


class Venue(ABC):
    """One venue's protocol.

    ``streams`` is filled by ``refresh``, which may take a while and may be called again.
    """

    feed: str
    completeness: str
    licence: str
    ping: str | None = None
    """Text of a heartbeat; None: the protocol's own ping."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}

    @property
    def scope(self) -> str:
        """``all`` contracts of the venue, or ``some``."""
        return "all"

    @property
    def relists(self) -> bool:
        """Whether ``refresh`` may find other contracts later."""
        return False

    @abstractmethod
    def refresh(self) -> None:
        """Find out what there is to listen to; blocks.

        Raises:
            UsageError: The base URL, or a contract that the user named, is wrong.
        """

    def requests(self, stream: Stream) -> dict[str, tuple[str, ...]]:
        """Subscriptions to send, by a number of ours that the venue repeats."""
        return {"1": stream.args} if stream.args else {}

    def frame(self, request: str, args: Sequence[str]) -> str:
        """The text of a subscription."""
        raise NotImplementedError

    @abstractmethod
    def hear(self, text: str) -> Heard:
        """Understand a message; never raises."""

    def may_drop(self, topic: str) -> bool:
        """Whether the recorder goes on without a topic that the venue refuses."""
        del topic
        return False


class Binance(Venue):
    """All liquidation orders of USD-M and COIN-M in one stream; at most one per contract and second.

    The path ``/market`` is the only one that pushes them: the older ``/ws/`` still accepts connections and stays silent.
    """

    feed = "binance"
    completeness = "sampled"
    licence = "Binance terms of use"

    def refresh(self) -> None:
        """One address is the whole subscription."""
        url = stream_url(BINANCE_STREAM, "/market/ws/!forceOrder@arr")
        self.streams = {"!forceOrder@arr": Stream("!forceOrder@arr", url, (), "USD-M and COIN-M", 900.0)}

    def hear(self, text: str) -> Heard:
        """Orders come one a message; an array is accepted too."""
        document = parse(text)
        orders = document if isinstance(document, list) else [document]
        if orders and all(isinstance(order, dict) and order.get("e") == "forceOrder" for order in orders):
            return Heard(Kind.DATA, venue_ms=latest(order.get("E") for order in orders))
        if not isinstance(document, dict):
            return Heard(Kind.UNKNOWN)
        if document.get("e") == "serverShutdown":
            return Heard(Kind.LEAVING, text="serverShutdown")
        if "error" in document:
            return Heard(Kind.REFUSED, text=json.dumps(document["error"])[:300])
        return Heard(Kind.CONTROL if "result" in document else Kind.UNKNOWN)


class Bybit(Venue):
    """Every liquidation, pushed twice a second; subscribed contract by contract, linear and inverse on connections of their own.

    Args:
        symbols: Contracts to listen to; None: all that the venue lists.
        ask: Gives the contracts of a category (``listing.bybit_symbols``).
    """

    feed = "bybit"
    completeness = "complete"
    licence = "Bybit terms of service"
    ping = '{"op":"ping"}'

    PREFIX = "allLiquidation."
    TRANSIENT = frozenset({10006, 10016, 10018, 10019})
    """Rate limit, server error, address rate limit, restart."""

    def __init__(self, symbols: Sequence[str] | None, ask: Callable[[str], list[str]]) -> None:
        super().__init__()
        self._listing = Listing(symbols, ask)

    @property
    def scope(self) -> str:
        """Named contracts are some, whatever their number."""
        return "some" if self._listing.symbols is not None else "all"

    @property
    def relists(self) -> bool:
        """New listings are subscribed when they are seen."""
        return self._listing.symbols is None

    def refresh(self) -> None:
        """Ask for the contracts and spread them over connections."""
        self._listing.refresh()
        found = {}
        for category, chunks in self._listing.chunks.items():
            for number, chunk in enumerate(chunks, start=1):
                if not chunk:
                    continue
                topic = f"{category}/allLiquidation" + (f"#{number}" if number > 1 else "")
                args = tuple(self.PREFIX + symbol for symbol in chunk)
                span = f"{len(chunk)} {category} contracts, {chunk[0]} to {chunk[-1]}"
                # A few contracts may go unliquidated for hours; hundreds do not for a quarter of one.
                silence = 900.0 if self.scope == "all" and len(chunk) >= 200 else None
                found[topic] = Stream(topic, stream_url(BYBIT_STREAM, f"/v5/public/{category}"), args, span, silence)
        self.streams = found

    def requests(self, stream: Stream) -> dict[str, tuple[str, ...]]:
        """A hundred topics at a time: one that is refused takes its whole request with it."""
        return {str(at): stream.args[at : at + 100] for at in range(0, len(stream.args), 100)}

    def frame(self, request: str, args: Sequence[str]) -> str:
        """As documented under "How to Subscribe to Topics"."""
        return json.dumps({"req_id": request, "op": "subscribe", "args": list(args)})

    def hear(self, text: str) -> Heard:
        """Data have a topic, answers an ``op``."""
        document = parse(text)
        if not isinstance(document, dict):
            return Heard(Kind.UNKNOWN)
        if str(document.get("topic", "")).startswith(self.PREFIX):
            return Heard(Kind.DATA, venue_ms=latest([document.get("ts")]))
        said = str(document.get("ret_msg", ""))
        if document.get("success") is False:
            _, _, topic = said.partition("topic:")
            code = document.get("ret_code", document.get("retCode"))
            return Heard(
                Kind.REFUSED,
                request=str(document.get("req_id", "")),
                topic=topic.strip(),
                text=said[:300],
                again=isinstance(code, int) and code in self.TRANSIENT,
            )
        if document.get("op") in ("ping", "pong"):
            return Heard(Kind.PONG)
        if document.get("op") == "subscribe":
            return Heard(Kind.CONFIRMED, request=str(document.get("req_id", "")))
        return Heard(Kind.UNKNOWN)

    def may_drop(self, topic: str) -> bool:
        """The venue lists contracts that have no liquidation topic; one that the user named is his to correct."""
        return self._listing.symbols is None and topic.startswith(self.PREFIX)


class Okx(Venue):
    """Liquidation orders of perpetual swaps; the venue says that they are not all of them."""

    feed = "okx"
    completeness = "sampled"
    licence = "OKX terms of service"
    ping = "ping"

    TRANSIENT = frozenset({"50001", "50011", "50013", "50026", "60014", "63999"})
    """Service unavailable, rate limit, busy, system error, too many requests, internal login or service error."""

    def refresh(self) -> None:
        """One channel of one instrument type."""
        topic = "liquidation-orders/SWAP"
        self.streams = {topic: Stream(topic, stream_url(OKX_STREAM, "/ws/v5/public"), ("SWAP",), "all swaps", 3600.0)}

    def frame(self, request: str, args: Sequence[str]) -> str:
        """As documented for the channel."""
        channels = [{"channel": "liquidation-orders", "instType": kind} for kind in args]
        return json.dumps({"id": request, "op": "subscribe", "args": channels})

    def hear(self, text: str) -> Heard:
        """Data have ``arg`` and ``data``, answers an ``event``."""
        if text == "pong":
            return Heard(Kind.PONG)
        document = parse(text)
        if not isinstance(document, dict):
            return Heard(Kind.UNKNOWN)
        if "event" in document:
            return self._answer(document)
        argument = document.get("arg")
        if isinstance(argument, dict) and argument.get("channel") == "liquidation-orders":
            return Heard(Kind.DATA, venue_ms=latest(_okx_times(document.get("data"))))
        return Heard(Kind.UNKNOWN)

    def _answer(self, document: Mapping[str, Any]) -> Heard:
        event = str(document["event"])
        said = f"{document.get('code', '')} {document.get('msg', '')}".strip()[:300]
        request = str(document.get("id", ""))
        if event in {"error", "channel-conn-count-error"}:
            again = event != "error" or str(document.get("code", "")) in self.TRANSIENT
            return Heard(Kind.REFUSED, request=request, text=said or event, again=again)
        kinds = {"subscribe": Kind.CONFIRMED, "notice": Kind.LEAVING}
        return Heard(kinds.get(event, Kind.CONTROL), request=request, text=said)


def stream_url(host: Host, path: str) -> str:
    """The address of a stream; a base URL given as http(s) is taken as ws(s).

    Raises:
        UsageError: The base URL is not encrypted and not on this machine.
    """
    base = host.base()
    if base.startswith("http"):
        base = "ws" + base.removeprefix("http")
    if not base.startswith(("ws://", "wss://")):
        raise UsageError(f"DELEVER_URL_{host.name.upper()}: '{base}' is no websocket address.")
    return base + path


def parse(text: str) -> Any:  # noqa: ANN401 - any JSON
    """The JSON value of a text, or None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def latest(times: Any) -> int | None:  # noqa: ANN401 - whatever a venue sent
    """The greatest of some times in milliseconds, as numbers or digits; others are passed over."""
    found = []
    for time in times:
        if isinstance(time, int) and not isinstance(time, bool):
            found.append(time)
        elif isinstance(time, str) and time.isascii() and time.isdigit():
            found.append(int(time))
    return max(found, default=None)


def _okx_times(data: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    items = data if isinstance(data, list) else []
    details = [item.get("details") for item in items if isinstance(item, Mapping)]
    return [
        fill.get("ts") for fills in details if isinstance(fills, list) for fill in fills if isinstance(fill, Mapping)
    ]
