"""What was joined -> `step` records, on the clock of the kernel's records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tracer.correlate.clocks import Skew
from tracer.correlate.join import By, Joined

_FOREVER = (1 << 63) - 1
_Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Span:
    """From when to when, nanoseconds since the Unix epoch, and whose: None is everybody's."""

    begin_ns: int
    end_ns: int
    root: _Key | None


def records(found: Sequence[Joined], skew: Skew | None, boot_ns: int) -> list[dict[str, Any]]:
    """In the order of their times. A step is of the process that began it; or of the shell that is kept for
    all of them, from the end of the call before on; or of all that is watched, where neither is known.
    """
    made: list[dict[str, Any]] = []
    for joined, span in zip(found, _spans(found, skew), strict=True):
        made.append(_begin(joined, max(0, span.begin_ns - boot_ns), span.root))
        if span.end_ns < _FOREVER:
            names = {"step": joined.call.step, "call_id": joined.call.call_id}
            made.append({"type": "step", "op": "end", **names, "time_ns": max(0, span.end_ns - boot_ns)})
    return sorted(made, key=lambda each: int(each["time_ns"]))


def _spans(found: Sequence[Joined], skew: Skew | None) -> list[_Span]:
    shell = _shell_of(found)
    spans: list[_Span] = []
    following_ns = _FOREVER  # when the next of those that share something begins
    for place in range(len(found) - 1, -1, -1):
        joined = found[place]
        if joined.by is By.SCRIPT:
            (ran,) = joined.rans
            spans.append(_Span(ran.began_ns, ran.ended_ns or _FOREVER, ran.process))
            continue
        span = _shared(joined, skew, shell, _free_ns(found[place - 1] if place else None), following_ns)
        spans.append(span)
        following_ns = span.begin_ns
    return spans[::-1]


def _shared(joined: Joined, skew: Skew | None, shell: _Key | None, free_ns: int, following_ns: int) -> _Span:
    """The span of a call to a shell that is kept, or of what was done without any program."""
    call, add_ns = joined.call, skew.add_ns if skew else 0
    end_ns = following_ns
    if call.end_ns and skew is not None:
        end_ns = min(end_ns, call.end_ns + add_ns + skew.within_ns)
    called_ns = call.begin_ns + add_ns if call.begin_ns and skew else free_ns
    if not joined.rans:
        return _Span(max(called_ns, free_ns if shell else 0), max(end_ns, called_ns), shell)
    first, last = joined.rans[0], joined.rans[-1]
    begin_ns = max(free_ns, min(called_ns or first.began_ns, first.began_ns))
    return _Span(begin_ns, max(end_ns, last.ended_ns), first.parent)


def _free_ns(before: Joined | None) -> int:
    """When the programs of the call before had ended."""
    if before is None or before.by is not By.PROGRAM:
        return 0
    return max(ran.ended_ns or ran.began_ns for ran in before.rans)


def _shell_of(found: Sequence[Joined]) -> _Key | None:
    """The process that most programs were started by, when calls go to a shell that is kept."""
    parents = Counter(
        ran.parent for each in found if each.by is By.PROGRAM for ran in each.rans if ran.parent
    )
    return parents.most_common(1)[0][0] if parents else None


def _begin(joined: Joined, time_ns: int, root: _Key | None) -> dict[str, Any]:
    call = joined.call
    record: dict[str, Any] = {"type": "step", "op": "begin", "step": call.step, "time_ns": time_ns}
    for name in ("tool", "episode", "call_id", "trace_id", "span_id"):
        if value := getattr(call, name):
            record[name] = value
    if root is not None:
        record["pid"], record["start_ns"] = root
    record["confidence"] = joined.confidence
    return record
