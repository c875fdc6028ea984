"""What the agent says of its steps, at a socket of its own, into the trace.

Whoever is watched may say it, and nothing else: it is the agent's own account, which the trace holds beside
what the kernel saw. So it is believed about names and never about acts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracer.control import Command, Peer, Reply, Server, not_ours, steps_path
from tracer.marking import COMMAND_MAX, NAME_MAX
from tracer.targets.processes import started_ns

OPEN_MAX = 256  # more at once are not steps
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

Word = Annotated[str, Field(max_length=NAME_MAX)]


class Mark(BaseModel):
    """What is told of a step.

    pid          only for what this process and its children do; 0 for all that is watched
    command      the text of the command that it runs, which tells steps at the same time apart
    traceparent  of W3C Trace Context
    """

    model_config = ConfigDict(extra="forbid")

    op: Literal["begin", "end"]
    step: Word = ""
    tool: Word = ""
    episode: Word = ""
    call_id: Word = ""
    command: Annotated[str, Field(max_length=COMMAND_MAX)] = ""
    traceparent: Word = ""
    pid: Annotated[int, Field(ge=0, lt=1 << 31)] = 0


class Steps:
    """`add` puts a record into the trace. Raises OSError when there can be no socket there."""

    def __init__(self, trace: Path, add: Callable[[Mapping[str, Any]], object]) -> None:
        self._add = add
        self._open: list[tuple[str, str]] = []  # step, call
        self._number = 0
        self._server = Server(
            steps_path(trace), {"mark": Command(self._mark, Mark)}, not_ours, lambda *_refused: None
        )
        self._server.start()

    def close(self) -> None:
        self._server.close()

    def _mark(self, mark: Mark, _peer: Peer) -> Reply:
        """On the one thread of the socket."""
        return self._begin(mark) if mark.op == "begin" else self._end(mark)

    def _begin(self, mark: Mark) -> Reply:
        if len(self._open) >= OPEN_MAX:
            return Reply(ok=False, message=f"{OPEN_MAX} steps are open: end some")
        self._number += 1
        step = mark.step or str(self._number)
        record: dict[str, Any] = {"type": "step", "op": "begin", "step": step, "time_ns": _now_ns()}
        for name in ("tool", "episode", "call_id", "command"):
            if value := getattr(mark, name):
                record[name] = value
        if found := _TRACEPARENT.fullmatch(mark.traceparent):
            record["trace_id"], record["span_id"] = found.groups()
        elif mark.traceparent:
            return Reply(
                ok=False, message="traceparent: 00-, 32 and 16 hexadecimal digits, and flags are wanted"
            )
        if mark.pid:
            try:
                record["pid"], record["start_ns"] = mark.pid, started_ns(mark.pid)
            except OSError:
                return Reply(ok=False, message=f"there is no process {mark.pid}")
        self._open.append((step, mark.call_id))
        self._add(record)
        return Reply(ok=True, message=f"step {step} begins", data={"step": step})

    def _end(self, mark: Mark) -> Reply:
        """The newest that fits what was given."""
        for place, (step, call_id) in reversed(list(enumerate(self._open))):
            if mark.step in ("", step) and mark.call_id in ("", call_id):
                del self._open[place]
                self._add(
                    {"type": "step", "op": "end", "step": step, "call_id": call_id, "time_ns": _now_ns()}
                )
                return Reply(ok=True, message=f"step {step} ends", data={"step": step})
        return Reply(ok=False, message="no such step is open")


def _now_ns() -> int:
    """On the clock of the kernel's records."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
