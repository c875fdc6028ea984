"""Trace file -> batches, in a thread of its own: nothing here waits for the screen, nor the screen for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tracer.errors import RubiconError
from tracer.events import Event, Taken, Violation
from tracer.rulings import actions_in
from tracer.trace import Block, Follower, Place, read_correlated
from tui.snapshot import Engine, Losses, Replay, Session, State

Judged = tuple[Event, tuple[Violation, ...]]

POLL_SECONDS = 0.02  # how late a block may be noticed; a poll costs two system calls
BATCH_EVENTS = 256  # the model is locked for one batch at a time: a millisecond or two


@dataclass(frozen=True, slots=True)
class Batch:
    """What the source has to say next. None: nothing new about it.

    `missing` counts, from the beginning, the events without a verdict and the records that cannot be read.
    `lag_bytes`, `progress` and `replay` are what they are now, in each batch. `whole` is all there is to
    know of a finished trace, out of its index, for `Model.restore`; nothing else counts then.
    """

    events: Sequence[Event] = ()
    violations: Sequence[Violation] = ()
    losses: Losses | None = None
    missing: int | None = None
    lag_bytes: int = 0
    notices: Sequence[str] = ()
    taken: Sequence[Taken] = ()
    session: Session | None = None
    state: State | None = None
    progress: float | None = None
    replay: Replay | None = None
    whole: Mapping[str, Any] | None = None


class Source(Protocol):
    """Batches until there will be no more, or until `stop`, which any thread may call."""

    def __iter__(self) -> Iterator[Batch]: ...

    def stop(self) -> None: ...


class Decoder(Protocol):
    """What is used of `tracer.pipeline.RecordedPipeline`: no rule is judged here, verdicts are read."""

    @property
    def pending_bytes(self) -> int: ...

    @property
    def unjudged(self) -> int: ...

    @property
    def bad_records(self) -> int: ...

    def push(self, block: Block) -> Iterator[Judged]: ...

    def finish(self) -> Iterator[Judged]: ...

    def kept(self) -> dict[str, Any]: ...


class TraceSource:
    """A trace that grows, or one that is finished. Without `follow` it ends at what is there now.
    `after_block` is called when all of a block's batches were taken.

    Raises TraceError when the file is not a trace.
    """

    def __init__(
        self,
        path: Path,
        *,
        follow: bool = True,
        decoder: Callable[[dict[str, Any]], Decoder] | None = None,
        after_block: Callable[[Place, Decoder], object] | None = None,
    ) -> None:
        self._stop = threading.Event()
        self._follow = follow
        self._follower = Follower(path, wait=self._wait)
        self._open_decoder = decoder or partial(_recorded_pipeline, path)
        self._decoder: Decoder | None = None
        self._after_block = after_block
        self._failed = 0  # events on which a rule failed in the engine

    def stop(self) -> None:
        self._stop.set()
        self._follower.stop()

    def is_live(self) -> bool:
        return self._follower.is_live()

    @property
    def size_bytes(self) -> int:
        return self._follower.size_bytes

    def close(self) -> None:
        """For one that is not iterated."""
        self._follower.close()

    def __iter__(self) -> Iterator[Batch]:
        with self._follower:
            for block in self._follower:
                yield from self._read(block)
                if self._after_block is not None and self._decoder is not None:
                    self._after_block(self._follower.place, self._decoder)
            yield from self._rest()
            yield self._ending()

    def _wait(self, timeout_seconds: float) -> None:
        if self._follow:
            self._stop.wait(min(timeout_seconds, POLL_SECONDS))
        else:
            self._follower.stop()

    def _read(self, block: Block) -> Iterator[Batch]:
        yield self._context(block)
        if self._decoder is not None:
            yield from self._batches(self._decoder.push(block))
            missing = self._missing(self._decoder)
            yield Batch(lag_bytes=self._lag_bytes(), missing=missing, progress=self._progress())

    def _rest(self) -> Iterator[Batch]:
        """What the engine had not judged when it was killed, or has not yet; and what nobody can read."""
        if self._decoder is None or self._stop.is_set():
            return
        decoder = self._decoder
        yield from self._batches(decoder.finish())
        if unjudged := decoder.unjudged + self._failed:
            yield Batch(notices=(f"events not judged by any rule: {unjudged}",))
        if decoder.bad_records:
            yield Batch(notices=(f"records that cannot be read: {decoder.bad_records}",))
        yield Batch(missing=self._missing(decoder))

    def _missing(self, decoder: Decoder) -> int:
        return decoder.unjudged + self._failed + decoder.bad_records

    def _batches(self, judged: Iterator[Judged]) -> Iterator[Batch]:
        while items := tuple(islice(judged, BATCH_EVENTS)):
            if self._stop.is_set():
                return
            yield Batch(
                events=tuple(event for event, _violations in items),
                violations=tuple(violation for _event, violations in items for violation in violations),
                lag_bytes=self._lag_bytes(),
                progress=self._progress(),
            )

    def _lag_bytes(self) -> int:
        """What is on disk and not read, and what is read and waits for its verdicts."""
        return self._follower.lag_bytes + (self._decoder.pending_bytes if self._decoder else 0)

    def _progress(self) -> float | None:
        """Of a trace that nobody writes any more, how much of it was read."""
        if self._follow and self._follower.is_live():
            return None
        return 1 - self._follower.lag_bytes / max(1, self._follower.size_bytes)

    def _context(self, block: Block) -> Batch:
        """What the block says beside its events. The first block has the session record in front."""
        session = None
        for record in block.context:
            if record["type"] == "session":
                self._decoder = self._open_decoder(record)
                session = read_session(record)
            elif record["type"] == "end":
                self._failed = failed_judgements(record)
        header = block.header
        taken = tuple(actions_in(block.context))
        return Batch(
            losses=Losses(header.lost_critical, header.lost_bulk),
            lag_bytes=self._lag_bytes(),
            notices=(*read_notices(block.context), *(each.message for each in taken if not each.event)),
            taken=taken,
            progress=self._progress(),
            session=session,
            state=State.LIVE if session else None,
        )

    def _ending(self) -> Batch:
        damage = self._follower.damage
        if self._follower.finished:
            return Batch(state=State.FINISHED)
        if self._follower.cut:
            return Batch(
                state=State.CUT, notices=("cut off: the engine was killed before the session ended",)
            )
        if damage is not None:
            return Batch(state=State.DAMAGED, notices=(f"cannot read on: {damage}",))
        return Batch()


def _recorded_pipeline(path: Path, record: dict[str, Any]) -> Decoder:
    """With the steps that were found afterwards, if they were."""
    from tracer.pipeline import RecordedPipeline

    return RecordedPipeline(record, steps=read_correlated(path, record))


def read_session(record: dict[str, Any]) -> Session:
    """The session record; what it lacks is left empty."""
    return Session(
        id=str(record.get("id") or ""),
        target=" ".join(str(target) for target in record.get("targets") or ()),
        command=tuple(str(word) for word in record.get("command") or ()),
        host=str(record.get("host") or ""),
        kernel=str(record.get("kernel") or ""),
        started_ns=int(record.get("start_ns") or 0),
        engine=_read_engine(record),
        rule_files=tuple(_rule_files(record)),
    )


def _read_engine(record: dict[str, Any]) -> Engine | None:
    """Who writes the trace; None where it does not say."""
    facts = record.get("engine")
    if not isinstance(facts, dict):
        return None
    pid, start_ns = facts.get("pid"), facts.get("start_ns")
    return Engine(pid, start_ns) if isinstance(pid, int) and isinstance(start_ns, int) else None


def _rule_files(record: dict[str, Any]) -> Iterator[str]:
    rules = record.get("rules")
    sources = rules.get("sources") if isinstance(rules, dict) else None
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict):
            yield str(source.get("path") or "")


def failed_judgements(record: dict[str, Any]) -> int:
    """On how many events a rule failed, as the end record tells."""
    told = record.get("unjudged")
    return told if isinstance(told, int) else 0


def read_notices(context: Iterable[dict[str, Any]]) -> Iterator[str]:
    for record in context:
        if record["type"] == "notice":
            yield str(record.get("message") or "")


class Feed:
    """The thread: hands each batch of `source` to `take`, and tells of the violations among them."""

    def __init__(
        self,
        source: Source,
        take: Callable[[Batch], None],
        on_violations: Callable[[Sequence[Violation]], object] | None = None,
    ) -> None:
        self._source = source
        self._take = take
        self._on_violations = on_violations
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; returns when it is gone, or after a second when it hangs in a read."""
        self._source.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            for batch in self._source:
                self._take(batch)
                if batch.violations and self._on_violations:
                    self._on_violations(batch.violations)
        except (RubiconError, OSError) as error:
            self._take(Batch(state=State.DAMAGED, notices=(str(error),)))
        except Exception as error:  # noqa: BLE001  a fault in the thread must be seen, not end it in silence
            self._take(Batch(state=State.DAMAGED, notices=(f"reading the trace failed: {error!r}",)))
