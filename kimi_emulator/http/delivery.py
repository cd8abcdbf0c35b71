"""Writing the body of an answer: at once or slowly, with a silence, or cut off, at any event and any byte.

kosong#60 (a stream that ended without its finish passed for a whole answer), hermes-agent#73337 (a minute and more of
silent thinking): what a client makes of such answers can only be tested if there are some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..scripting import Reply

_COMMENT = b": keep-alive\n\n"


class Cut(Exception):
    """The script ends the answer here."""


class Delivery:
    """Writes one body the way its reply asks for.

    Args:
        reply: The reply.
        write: Writes bytes of the body.
        pause: Sends what was written and waits so many seconds.
        chunk_delay: Seconds between streamed events.
    """

    def __init__(
        self, reply: Reply, write: Callable[[bytes], object], pause: Callable[[float], None], chunk_delay: float = 0.0
    ) -> None:
        self._reply = reply
        self._write = write
        self._pause = pause
        self._chunk_delay = chunk_delay
        self._sent = 0
        self._cut_at = reply.cut_after_bytes
        self._stall_at = reply.stall_after_bytes
        self._stalls = reply.stall > 0

    def send_body(self, data: bytes) -> None:
        """Write a body that is not streamed.

        Raises:
            Cut: If the connection is to be closed now.
        """
        half = len(data) // 2
        if self._cut_at is None and self._reply.cut_after is not None:
            self._cut_at = half
        if self._stall_at is None:
            self._stall_at = 0 if self._reply.stall_after is None else half
        self._send(data)
        self._end(self._cut_at)

    def send_events(self, events: Iterable[bytes]) -> None:
        """Write a stream.

        Raises:
            Cut: If the connection is to be closed now.
        """
        stall_after = self._reply.stall_after
        if stall_after is None and self._stall_at is None:
            stall_after = 0
        for number, event in enumerate(events):
            if number == stall_after:
                self._stall(between_events=True)
            if number == self._reply.cut_after:
                raise Cut
            if self._reply.keep_alive == 0:
                self._send(_COMMENT)
            self._send(event)
            self._wait(self._chunk_delay)
        self._end(self._cut_at if self._reply.cut_after is None else 0)

    def _end(self, cut: int | None) -> None:
        """What was to come later comes at the end."""
        self._stall()
        if cut is not None:
            raise Cut

    def _send(self, data: bytes) -> None:
        last = self._cut_at is not None and self._cut_at <= self._sent + len(data)
        data = data[: self._cut_at - self._sent] if last and self._cut_at is not None else data
        if self._stalls and self._stall_at is not None:
            ahead = self._stall_at - self._sent
            if ahead < len(data) or (last and ahead == len(data)):
                self._put(data[:ahead])
                self._stall()
                data = data[ahead:]
        self._put(data)
        if last:
            raise Cut

    def _put(self, data: bytes) -> None:
        if data:
            self._write(data)
            self._sent += len(data)

    def _stall(self, *, between_events: bool = False) -> None:
        if not self._stalls:
            return
        self._stalls = False
        if between_events:
            self._wait(self._reply.stall)
        else:
            self._pause(self._reply.stall)

    def _wait(self, seconds: float) -> None:
        """Wait between two events, with a sign of life now and then if asked for."""
        every = self._reply.keep_alive
        while every and seconds > every:
            self._pause(every)
            self._send(_COMMENT)
            seconds -= every
        if seconds > 0:
            self._pause(seconds)
