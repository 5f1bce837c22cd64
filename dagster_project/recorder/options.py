"""How long the recorder waits for what. The defaults suit the live venues; tests shorten them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Times in seconds, sizes in bytes.

    Args:
        segment_seconds: Length of a landed segment; boundaries are multiples of it since 1970, so 3600 is the UTC hour.
        flush_seconds: How often received messages are written to disk; what a power failure can lose.
        ping_seconds: Between heartbeats. Bybit recommends 20, OKX closes after 30 without traffic.
        idle_seconds: Without any frame, answers to pings included, the connection is taken for dead.
        silence_seconds: Without a liquidation, though pings are answered, the subscription is made anew; None: the
            venue's own default (``venues``), 0: never.
        connect_seconds: For the handshake, and again for the venue to confirm the subscription.
        renew_seconds: Age at which a connection is replaced before the venue ends it (Binance: after 24 hours).
        overlap_seconds: How long the old connection is heard beside its replacement.
        listing_seconds: Between looks at the list of contracts, where contracts are subscribed one by one.
        backoff_first_seconds: Longest first wait before reconnecting; doubles with each failure.
        backoff_most_seconds: Longest wait.
        stable_seconds: A connection that lived this long starts the waits anew.
        banned_seconds: Wait after HTTP 403, 418 or 429 without Retry-After (Bybit asks for ten minutes).
        max_message_bytes: A larger message ends its connection.
        skew_bound_seconds: Median difference between receipt and the venue's time above which the clocks disagree.
        skew_messages: Messages over which that median is taken.
        skew_least: Fewest messages for a median.
        report_seconds: Between lines of the log where there is no terminal.
    """

    segment_seconds: float = 3600.0
    flush_seconds: float = 1.0
    ping_seconds: float = 20.0
    idle_seconds: float = 60.0
    silence_seconds: float | None = None
    connect_seconds: float = 15.0
    renew_seconds: float = 23 * 3600.0
    overlap_seconds: float = 1.0
    listing_seconds: float = 6 * 3600.0
    backoff_first_seconds: float = 1.0
    backoff_most_seconds: float = 60.0
    stable_seconds: float = 60.0
    banned_seconds: float = 600.0
    max_message_bytes: int = 4 * 1024**2
    skew_bound_seconds: float = 5.0
    skew_messages: int = 101
    skew_least: int = 11
    report_seconds: float = 60.0
