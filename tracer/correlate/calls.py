"""The two sides that are joined: what an agent says it called, and what ran."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. Times are nanoseconds since the Unix epoch by the agent's clock, 0 where none is told.

    command   the text that it had a shell run; "" when it was no command
    end_ns    when its answer was there
    """

    step: str
    command: str = ""
    tool: str = ""
    call_id: str = ""
    episode: str = ""
    begin_ns: int = 0
    end_ns: int = 0
    trace_id: str = ""
    span_id: str = ""


@dataclass(slots=True)
class Ran:
    """A program that ran: one exec. Times are nanoseconds since the Unix epoch by this machine's clock.

    process, parent   (pid, start in nanoseconds since boot); `began_ns` is when the process was forked
    ended_ns          0 when it had not ended when the trace did
    """

    process: tuple[int, int]
    parent: tuple[int, int] | None
    began_ns: int
    ended_ns: int
    args: tuple[str, ...]
