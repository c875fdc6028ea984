"""Documents to somebody who may be slow or away, as they come.

    documents -> a queue with a bound -> a thread that sends batches, and tries again

When the queue is full the reader waits, and what it has not read lies in the trace: nothing is dropped while
a session runs. What is refused for good, and what the other end did not take within `linger_seconds` of the
last document, is counted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tracer.export.documents import Document

QUEUE_MAX = 4_096
BATCH_MAX = 512
BATCH_SECONDS = 0.5  # how long the first of a batch waits for others
LINGER_SECONDS = 30.0
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.25, 15.0


class UnavailableError(Exception):
    """Not now; perhaps later. `after_seconds` is what the other end asks for, 0 when it does not say."""

    def __init__(self, why: str, after_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


class RefusedError(Exception):
    """Never: `count` of the batch."""

    def __init__(self, why: str, count: int) -> None:
        super().__init__(why)
        self.count = count


@dataclass(slots=True)
class Shipped:
    delivered: int = 0
    refused: int = 0
    undelivered: int = 0

    @property
    def lost(self) -> int:
        return self.refused + self.undelivered


Deliver = Callable[[Sequence[Document]], object]


class Shipment:
    """`deliver` sends one batch; it raises one of the errors above. `say` gets words for a person."""

    def __init__(
        self, deliver: Deliver, say: Callable[[str], object], *, linger_seconds: float = LINGER_SECONDS
    ) -> None:
        self.shipped = Shipped()
        self._deliver = deliver
        self._say = say
        self._linger_seconds = linger_seconds
        self._waiting: queue.Queue[Document | None] = queue.Queue(QUEUE_MAX)
        self._ending = threading.Event()
        self._give_up_at = float("inf")
        self._away = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ship", daemon=True)

    def ship(self, documents: Iterable[Document]) -> Shipped:
        """All of them, until the last is delivered or given up. Raises what `deliver` did not expect."""
        self._thread.start()
        for document in documents:
            self._waiting.put(document)
            if self._error is not None:
                break
        self._give_up_at = time.monotonic() + self._linger_seconds
        self._ending.set()
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self.shipped

    def _run(self) -> None:
        try:
            while batch := self._batch():
                self._send(batch)
        except BaseException as error:  # noqa: BLE001  raised by `ship`
            self._error = error
            while self._waiting.get() is not None:  # who puts more must not wait for us
                pass

    def _batch(self) -> list[Document]:
        """The next, as many as there are soon; empty at the end."""
        first = self._waiting.get()
        if first is None:
            return []
        batch, until = [first], time.monotonic() + BATCH_SECONDS
        while len(batch) < BATCH_MAX:
            try:
                document = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return batch
            if document is None:
                self._waiting.put(None)  # for the next time
                return batch
            batch.append(document)
        return batch

    def _send(self, batch: Sequence[Document]) -> None:
        delay_seconds = _FIRST_DELAY_SECONDS
        while True:
            try:
                self._deliver(batch)
            except UnavailableError as error:
                wait_seconds = max(delay_seconds, error.after_seconds)
                if time.monotonic() + wait_seconds > self._give_up_at:
                    self.shipped.undelivered += len(batch)
                    self._tell_away(str(error), "")
                    return
                self._tell_away(str(error), "; what is recorded meanwhile is sent later")
                self._wait(wait_seconds)
                delay_seconds = min(2 * delay_seconds, _LONGEST_DELAY_SECONDS)
            except RefusedError as error:
                self._say(str(error))
                self.shipped.refused += error.count
                self.shipped.delivered += len(batch) - error.count
                return
            else:
                self.shipped.delivered += len(batch)
                self._tell_back()
                return

    def _wait(self, seconds: float) -> None:
        """When the end comes meanwhile, it is tried once more at once."""
        if self._ending.is_set():
            time.sleep(min(seconds, max(0.0, self._give_up_at - time.monotonic())))
        else:
            self._ending.wait(seconds)

    def _tell_away(self, why: str, outlook: str) -> None:
        if not self._away:
            self._away = True
            self._say(why + outlook)

    def _tell_back(self) -> None:
        if self._away:
            self._away = False
            self._say("sent again")
