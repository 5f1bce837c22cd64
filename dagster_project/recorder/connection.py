"""One connection to a venue: opened, subscribed, heard, kept alive, replaced before it ends, and opened again when it is lost."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from dagster_project.fetch.client import StoppedError
from dagster_project.lib.errors import UsageError
from dagster_project.recorder.options import Options
from dagster_project.recorder.topics import Loss, Topic, utc_now
from dagster_project.recorder.venues import Heard, Kind, Stream, Venue

STOP_STATUS = {
    401: "the venue asks for a key",
    404: "there is no stream at this address",
    451: "the venue does not serve this region",
}
BANNED_STATUS = frozenset({403, 418, 429})
_TOO_BIG = 1009


class Sink(Protocol):
    """Where a connection puts what it hears."""

    def message(self, topic: str, text: str, received_at: datetime, *, known: bool) -> None:
        """Keep a message."""

    def topic(self, name: str) -> Topic:
        """The state of a topic, made when it is new."""

    def say(self, text: str) -> None:
        """Tell the user something that matters."""

    def known(self, name: str) -> Topic | None:
        """The state of a topic, if there is any."""

    def reconnected(self) -> None:
        """Count a connection that was lost and has to be made again."""

    def renewed(self) -> None:
        """Count a connection that took a living one's place."""


class _Connect(connect):
    """A handshake that follows no redirect: where the recorder listens is configured, not answered."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Leave the answer as it is."""
        return exc


class NotNowError(Exception):
    """The venue cannot be heard now, and trying again later may help.

    Args:
        text: Why.
        wait_seconds: The least to wait, where the venue says or is known to want one.
    """

    def __init__(self, text: str, wait_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


class Session:
    """One open connection.

    Args:
        socket: The connection.
        stream: What is subscribed on it.
        renew_seconds: Age at which it should be replaced.
    """

    def __init__(self, socket: ClientConnection, stream: Stream, renew_seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self.socket = socket
        self.stream = stream
        self.renew_at = now + renew_seconds
        self.is_subscribed = False
        self.framed = self.spoke = now
        """When a frame came, and when a liquidation; the loop's time."""
        self.spoke_at = utc_now()
        self.leaving = asyncio.Event()

    async def close(self) -> None:
        """Close without waiting long for the venue's farewell."""
        with suppress(TimeoutError, OSError, ConnectionClosed):
            async with asyncio.timeout(1.0):
                await self.socket.close()
        self.socket.transport.abort()


class Ear:
    """Keeps one topic heard.

    Args:
        venue: The protocol; its ``streams`` has the topic.
        name: The topic.
        sink: Takes what is heard.
        options: Waits and bounds.
    """

    def __init__(self, venue: Venue, name: str, sink: Sink, options: Options) -> None:
        self.venue = venue
        self.name = name
        self.sink = sink
        self.options = options
        self.relisted = asyncio.Event()
        self._topic = sink.topic(name)
        self._told_unknown = False

    async def run(self) -> None:
        """Listen until cancelled, or until the venue lists nothing more under this topic.

        Raises:
            StoppedError: The venue refuses, and asking again cannot help.
            UsageError: The address is wrong.
        """
        waits = backoff(self.options)
        loop = asyncio.get_running_loop()
        while self.name in self.venue.streams:
            session = await self._open_again(waits)
            self._topic.regain(utc_now())
            opened = loop.time()
            loss = await self._keep(session)
            if loss is None:
                return
            self._topic.lose(loss)
            self.sink.say(f"{self.name}: {loss.note}; connecting again")
            self.sink.reconnected()
            if loop.time() - opened >= self.options.stable_seconds:
                waits = backoff(self.options)
            await asyncio.sleep(next(waits))

    async def _open_again(self, waits: Iterator[float]) -> Session:
        told = ""
        while True:
            try:
                return await self._open()
            except NotNowError as error:
                self._topic.miss(utc_now(), str(error))
                if str(error) != told:
                    told = str(error)
                    self.sink.say(f"{self.name}: {told}; trying again")
                await asyncio.sleep(max(next(waits), error.wait_seconds))

    async def _open(self) -> Session:
        """Connect and subscribe.

        Raises:
            NotNowError: It did not work, and may later.
            StoppedError: It cannot work.
        """
        stream = self.venue.streams[self.name]
        try:
            socket = await _Connect(
                stream.url,
                open_timeout=self.options.connect_seconds,
                ping_interval=None,
                close_timeout=1.0,
                max_size=self.options.max_message_bytes,
                user_agent_header="delever",
            )
        except InvalidURI as error:
            raise UsageError(f"{stream.url} is no websocket address: {error}") from error
        except InvalidStatus as error:
            raise self._refused_handshake(stream, error) from error
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            raise NotNowError(f"no connection to {stream.url} ({_words(error)})") from error
        except ValueError as error:
            raise UsageError(f"{stream.url} is no websocket address: {error}") from error
        session = Session(socket, stream, self.options.renew_seconds)
        try:
            async with asyncio.timeout(self.options.connect_seconds):
                await self._subscribe(session)
        except TimeoutError as error:
            await session.close()
            raise NotNowError(f"{stream.url} did not confirm the subscription") from error
        except ConnectionClosed as error:
            await session.close()
            raise NotNowError(f"{stream.url} closed the connection while subscribing ({_words(error)})") from error
        except BaseException:
            await session.close()
            raise
        return session

    def _refused_handshake(self, stream: Stream, error: InvalidStatus) -> Exception:
        status = error.response.status_code
        if 300 <= status < 400:
            where = error.response.headers.get("Location", "")[:120]
            return StoppedError(f"{stream.url}: redirected to '{where}', which is not followed; set the base URL.")
        if status in STOP_STATUS:
            return StoppedError(f"{stream.url}: HTTP {status}, {STOP_STATUS[status]}.")
        wait = 0.0
        if status in BANNED_STATUS:
            named = error.response.headers.get("Retry-After", "")
            wait = float(named) if named.isascii() and named.isdigit() else self.options.banned_seconds
        return NotNowError(f"{stream.url} answered HTTP {status}", wait)

    async def _subscribe(self, session: Session) -> None:
        """Send the subscriptions and wait for each to be confirmed."""
        pending = self.venue.requests(session.stream)
        refused: dict[str, str] = {}
        for request, args in pending.items():
            await session.socket.send(self.venue.frame(request, args))
        while pending:
            heard = await self._next(session)
            if heard.kind not in {Kind.CONFIRMED, Kind.REFUSED}:
                continue
            request = heard.request if heard.request in pending else next(iter(pending))
            args = pending.pop(request)
            if heard.kind is Kind.REFUSED:
                rest = self._without(heard, args)
                refused[heard.topic] = heard.text
                if rest:
                    pending[request] = rest
                    await session.socket.send(self.venue.frame(request, rest))
        if session.stream.args and len(refused) == len(session.stream.args):
            raise StoppedError(f"{session.stream.url} refuses every topic, e.g. {next(iter(refused.values()))}.")
        self._note_refused(session.stream, refused)
        session.is_subscribed = True

    def _without(self, heard: Heard, args: tuple[str, ...]) -> tuple[str, ...]:
        """What to ask for instead when the venue has refused a subscription for the sake of one topic."""
        if heard.again:
            raise NotNowError(f"the venue refuses for now: {heard.text}")
        if heard.topic in args and self.venue.may_drop(heard.topic):
            return tuple(arg for arg in args if arg != heard.topic)
        raise StoppedError(
            f"{self.venue.feed} refuses the subscription of {heard.topic or self.name}: {heard.text or 'no reason given'}. "
            "Trying again cannot help; name other contracts (--symbols), or look whether the venue has changed its stream."
        )

    def _note_refused(self, stream: Stream, refused: dict[str, str]) -> None:
        """Keep the gaps of contracts that the venue lists but will not push, and end those of contracts that it pushes now."""
        now = utc_now()
        category = self.name.partition("/")[0]
        for arg in stream.args:
            name = f"{category}/{arg}"
            known = self.sink.known(name) if self.venue.may_drop(arg) else None
            if arg not in refused:
                if known is not None:
                    known.regain(now)
                continue
            if known is None or known.open is None or known.open.cause != "venue_refused":
                self.sink.topic(name).refuse(now, refused[arg])
                self.sink.say(f"{name}: refused by the venue ({refused[arg]}); the others are recorded")

    async def _keep(self, session: Session) -> Loss | None:
        """Listen, replacing the connection in time, until it is lost.

        Returns:
            The loss; None when the topic is no longer listed.
        """
        listening = asyncio.create_task(self._listen(session))
        try:
            while True:
                await self._until_due(session, listening)
                if listening.done():
                    return listening.result()
                if self.name not in self.venue.streams:
                    return None
                fresh = await self._open_beside(session)
                if fresh is None:
                    continue
                self.sink.renewed()
                if listening.done():
                    # The old one was lost meanwhile: what lies between is a gap.
                    self._topic.lose(listening.result())
                    self._topic.regain(utc_now())
                before, session = (session, listening), fresh
                listening = asyncio.create_task(self._listen(session))
                await asyncio.wait({before[1]}, timeout=self.options.overlap_seconds)
                await _end(*before)
        finally:
            await _end(session, listening)

    async def _until_due(self, session: Session, listening: asyncio.Task[Loss]) -> None:
        """Return when the connection should be replaced, or is lost."""
        left = session.renew_at - asyncio.get_running_loop().time()
        signals = [asyncio.create_task(event.wait()) for event in (session.leaving, self.relisted)]
        try:
            await asyncio.wait({listening, *signals}, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for signal in signals:
                signal.cancel()

    async def _open_beside(self, session: Session) -> Session | None:
        """Open the replacement while the old connection is still heard."""
        self.relisted.clear()
        session.leaving.clear()
        try:
            return await self._open()
        except NotNowError as error:
            self.sink.say(f"{self.name}: no new connection yet ({error}); the old one is kept")
            wait = max(self.options.backoff_most_seconds, error.wait_seconds)
            session.renew_at = asyncio.get_running_loop().time() + wait
            return None

    async def _listen(self, session: Session) -> Loss:
        beating = asyncio.create_task(self._beat(session))
        # Whatever ends the heartbeat early ends the connection too, so that its error comes out below.
        beating.add_done_callback(lambda ended: None if ended.cancelled() else session.socket.transport.abort())
        try:
            while True:
                heard = await self._next(session)
                if heard.kind is Kind.LEAVING:
                    self.sink.say(f"{self.name}: the venue is about to close the connection ({heard.text})")
                    session.leaving.set()
                elif heard.kind is Kind.REFUSED:
                    self._refused_later(heard)
        except NotNowError as error:
            return Loss(utc_now(), "disconnected", str(error))
        except ConnectionClosed as error:
            if beating.done():
                return beating.result()
            return self._lost(error)
        finally:
            beating.cancel()

    def _refused_later(self, heard: Heard) -> None:
        if heard.again:
            raise NotNowError(f"the venue refuses for now: {heard.text}")
        raise StoppedError(
            f"{self.venue.feed} ended the subscription of {self.name}: {heard.text or 'no reason given'}."
        )

    def _lost(self, error: ConnectionClosed) -> Loss:
        heard_at = self._topic.heard_at or utc_now()
        if error.rcvd is not None:
            # Everything that the venue sent before its farewell has arrived.
            reason = f" {error.rcvd.reason}" if error.rcvd.reason else ""
            return Loss(utc_now(), "disconnected", f"the venue closed the connection ({error.rcvd.code}{reason[:100]})")
        if error.sent is not None and error.sent.code == _TOO_BIG:
            most = self.options.max_message_bytes
            return Loss(
                heard_at, "disconnected", f"a message of more than {most} bytes, which is no liquidation message"
            )
        return Loss(heard_at, "disconnected", f"the connection broke ({_words(error)})")

    async def _next(self, session: Session) -> Heard:
        """Receive one message, and keep it when it is not talk about the connection."""
        frame = await session.socket.recv()
        received_at = utc_now()
        session.framed = asyncio.get_running_loop().time()
        if session.is_subscribed:
            self._topic.hear(received_at)
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "backslashreplace")
        heard = self.venue.hear(text)
        if heard.kind is Kind.DATA:
            session.spoke, session.spoke_at = session.framed, received_at
            if heard.venue_ms is not None:
                self._topic.measure(received_at, heard.venue_ms)
        if heard.kind in {Kind.DATA, Kind.UNKNOWN}:
            self.sink.message(self.name, text, received_at, known=heard.kind is Kind.DATA)
        if heard.kind is Kind.UNKNOWN and not self._told_unknown:
            self._told_unknown = True
            self.sink.say(
                f"{self.name}: a message of a form that the venue does not document is kept as it is: {text[:200]!r}"
            )
        return heard

    async def _beat(self, session: Session) -> Loss:
        """Send heartbeats, and have a connection replaced that says nothing.

        Returns:
            The loss of a connection that answers nothing.
        """
        loop = asyncio.get_running_loop()
        silence = self.options.silence_seconds
        silence = session.stream.silence_seconds if silence is None else silence
        while True:
            with suppress(ConnectionClosed, TimeoutError):
                await self._ping(session)
            await asyncio.sleep(self.options.ping_seconds)
            if loop.time() - session.framed > self.options.idle_seconds:
                note = f"no frame for more than {self.options.idle_seconds:g} s, heartbeats unanswered"
                return Loss(self._topic.heard_at or utc_now(), "idle", note)
            if silence and loop.time() - session.spoke > silence:
                now = utc_now()
                note = (
                    f"no liquidation for {silence:g} s though heartbeats were answered: none happened, or none was sent"
                )
                self._topic.add(session.spoke_at, now, "idle", note)
                self.sink.say(f"{self.name}: {note}; subscribing anew")
                session.spoke, session.spoke_at = loop.time(), now
                session.leaving.set()

    async def _ping(self, session: Session) -> None:
        async with asyncio.timeout(self.options.idle_seconds):
            if self.venue.ping is not None:
                await session.socket.send(self.venue.ping)
                return
            answered = await session.socket.ping()

        def note(answer: asyncio.Future[float]) -> None:
            if not answer.cancelled() and answer.exception() is None:
                session.framed = asyncio.get_running_loop().time()
                self._topic.hear(utc_now())

        asyncio.ensure_future(answered).add_done_callback(note)


async def _end(session: Session, listening: asyncio.Task[Loss]) -> None:
    """Stop listening to a connection and close it."""
    listening.cancel()
    await asyncio.wait({listening})
    if not listening.cancelled():
        listening.exception()  # taken, so that asyncio does not complain of an error that no longer matters
    await session.close()


def backoff(options: Options) -> Iterator[float]:
    """Waits before reconnecting, in seconds: doubling up to a bound, each drawn between half of it and all of it."""
    most = options.backoff_first_seconds
    while True:
        yield random.uniform(most / 2, most)  # noqa: S311 - spreads clients, hides nothing
        most = min(most * 2, options.backoff_most_seconds)


def _words(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:200] or type(error).__name__
