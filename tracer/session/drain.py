"""Rings -> trace. Nothing here waits for judging, and nothing is decoded."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from tracer.capture import Source
from tracer.targets import processes
from tracer.trace import Writer

WAIT_SECONDS = 0.1  # how late the last records of a burst, or a context record, may be written
REST_SECONDS = 0.002  # after a wake-up, so that a block holds more than one record
SWEEP_SECONDS = 1.0


class Outbox:
    """Context records that go into the next block. May be filled from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Mapping[str, Any]] = []
        self._judged: int | None = None

    def add(self, record: Mapping[str, Any]) -> None:
        with self._lock:
            self._records.append(record)

    def judged(self, block: int) -> None:
        """All events up to this block were judged; only the newest such word is kept."""
        with self._lock:
            self._judged = block

    def take(self) -> list[Mapping[str, Any]]:
        with self._lock:
            records, self._records = self._records, []
            if self._judged is not None:
                records.append(judged_record(self._judged))
                self._judged = None
            return records


def judged_record(block: int) -> dict[str, Any]:
    return {"type": "judged", "block": block}


class Drain:
    """The thread. After `stop` the `lost_*` are final; `error` is what ended it early."""

    def __init__(self, source: Source, writer: Writer, outbox: Outbox) -> None:
        self.error: BaseException | None = None
        self.lost_critical = 0
        self.lost_bulk = 0
        self.losses: dict[str, int] = {}
        self.usage: dict[str, float] = {}
        self._source = source
        self._writer = writer
        self._outbox = outbox
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
        self.usage = processes.Usage().measure()

    def _run(self) -> None:
        try:
            since_sweep = 0.0
            while not self._stop.is_set():
                woken = self._source.wait(WAIT_SECONDS)
                since_sweep += REST_SECONDS if woken else WAIT_SECONDS
                if woken:
                    self._stop.wait(REST_SECONDS)
                if since_sweep >= SWEEP_SECONDS:
                    self._source.sweep()
                    since_sweep = 0.0
                self._drain()
        except BaseException as error:  # noqa: BLE001  kept for `Session.stop`, which raises it
            self.error = error

    def _drain(self) -> bool:
        """One block, if there is anything to put into it."""
        drained = self._source.drain()
        context = self._outbox.take()
        self.lost_critical, self.lost_bulk = drained.lost_critical, drained.lost_bulk
        self._writer.append(context, drained.critical, drained.bulk, drained.lost_critical, drained.lost_bulk)
        return bool(drained.critical.records or drained.bulk.records)
