"""How far an agent's clock was from that of the machine that was watched.

A command begins after it was called and ends before its answer is there, on both clocks. So the time by which
the agent's clock must be moved is at most (began here - called there) and at least (ended here - answered
there), for every call; the estimate lies between, and what lies between them is how exact it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_SPREAD = 5  # times the median deviation: what is further off is another command of the same text
_NEAR_NS = 60 * 1_000_000_000
_EDGE = 10  # one in so many may lie outside: clocks are set, logs are written late


@dataclass(frozen=True, slots=True)
class Skew:
    """What is added to a time of the agent's to get one of the machine's, and how far that may be off."""

    add_ns: int
    within_ns: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One command on both clocks; `ended_ns` or `answered_ns` is 0 when it is not known."""

    called_ns: int
    began_ns: int
    answered_ns: int = 0
    ended_ns: int = 0


def estimate(seen: Sequence[Seen]) -> Skew | None:
    """None without anything to go by."""
    if not seen:
        return None
    middle = int(median(each.began_ns - each.called_ns for each in seen))
    off = int(median(abs(each.began_ns - each.called_ns - middle) for each in seen))
    limit = max(_SPREAD * off, _NEAR_NS)
    kept = [each for each in seen if abs(each.began_ns - each.called_ns - middle) <= limit]
    most = sorted(each.began_ns - each.called_ns for each in kept)
    least = sorted(each.ended_ns - each.answered_ns for each in kept if each.ended_ns and each.answered_ns)
    upper = most[len(most) // _EDGE]
    if not least:
        return Skew(upper, max(abs(middle - upper), 1))
    lower = least[-1 - len(least) // _EDGE]
    if lower > upper:  # a clock was set meanwhile, or some answers were not waited for
        return Skew(middle, max(off, 1))
    return Skew((upper + lower) // 2, max((upper - lower) // 2, 1))
