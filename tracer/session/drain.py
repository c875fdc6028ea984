"""Rings -> trace. Nothing here waits for judging, and nothing is decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tracer.capture import Source
from tracer.session.outbox import Outbox
from tracer.targets import processes
from tracer.trace import Writer

WAIT_SECONDS = 0.1  # how late the last records of a burst, or a context record, may be written
SHORT_WAIT_SECONDS = 0.02  # the same soon after a burst: what comes then is most often the end of the session
SHORT_WAITS = 25
REST_SECONDS = 0.002  # after a wake-up, so that a block holds more than one record
LONGEST_REST_SECONDS = 0.016  # it doubles while one wake-up follows the other: fewer and fuller blocks
BIG_BLOCK_BYTES = 2**20  # but not when that much comes in a rest: the rings must not run full
SWEEP_SECONDS = 1.0


class Drain:
    """The thread. After `stop` the `lost_*` are final; `error` is what ended it early, told to `on_error`."""

    def __init__(
        self,
        source: Source,
        writer: Writer,
        outbox: Outbox,
        *,
        on_error: Callable[[str, BaseException], object] = lambda _what, _error: None,
    ) -> None:
        self.error: BaseException | None = None
        self.lost_critical = 0
        self.lost_bulk = 0
        self.losses: dict[str, int] = {}
        self.usage: dict[str, float] = {}
        self._source = source
        self._writer = writer
        self._outbox = outbox
        self._on_error = on_error
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write all there is and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.error is None:
            self._source.sweep()
            while self._drain():
                pass
        self.losses = self._source.losses()
        self.usage = processes.own_usage()

    def _run(self) -> None:
        try:
            self._drain_until_stopped()
        except BaseException as error:  # noqa: BLE001  kept for `Session.stop`, which raises it
            self.error = error
            self._on_error("recording", error)

    def _drain_until_stopped(self) -> None:
        since_sweep, quiet, rest_seconds = 0.0, 0, REST_SECONDS
        while not self._stop.is_set():
            wait_seconds = SHORT_WAIT_SECONDS if quiet < SHORT_WAITS else WAIT_SECONDS
            woken = self._source.wait(wait_seconds)
            quiet = 0 if woken else quiet + 1
            since_sweep += rest_seconds if woken else wait_seconds
            if woken:
                self._stop.wait(rest_seconds)
            if since_sweep >= SWEEP_SECONDS:
                self._source.sweep()
                since_sweep = 0.0
            taken_bytes = self._drain()
            is_steady = woken and taken_bytes < BIG_BLOCK_BYTES
            rest_seconds = min(2 * rest_seconds, LONGEST_REST_SECONDS) if is_steady else REST_SECONDS

    def _drain(self) -> int:
        """One block, if there is anything to put into it; about how many bytes that was."""
        drained = self._source.drain()
        context = self._outbox.take()
        self.lost_critical, self.lost_bulk = drained.lost_critical, drained.lost_bulk
        self._writer.append(context, drained.critical, drained.bulk, drained.lost_critical, drained.lost_bulk)
        return len(context) + len(drained.critical.data) + len(drained.bulk.data)
