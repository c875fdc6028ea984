"""What a correlation remembers of one group of events: enough to say when its condition comes true.

Time is that of the events. An event that comes late, as two rings are read one after the other, counts at its
own time. A window that has fired begins anew: a flood is one violation a threshold, and not one an event.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MEMBERS_MAX = 10_000  # events, values or rules that one window can be asked to remember
TEXT_MAX = 64  # characters of a value kept as it is; of a longer one its hash


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that matched one of the rules: which of them, when, and the value that is counted."""

    rule: int
    time_ns: int
    sequence: int
    value: str | None = None


class Window(Protocol):
    """`add` says whether the condition is true now; `members` are the events that made it so, in order."""

    def add(self, hit: Hit) -> bool: ...

    def members(self) -> list[int]: ...

    def clear(self) -> None: ...


class Count:
    """event_count: as many events within the time span."""

    def __init__(self, span_ns: int, least: int) -> None:
        self._span_ns = span_ns
        self._least = least
        self._hits: deque[Hit] = deque()

    def add(self, hit: Hit) -> bool:
        self._hits.append(hit)
        _forget(self._hits, hit.time_ns - self._span_ns)
        return len(self._hits) >= self._least

    def members(self) -> list[int]:
        return [hit.sequence for hit in self._hits]

    def clear(self) -> None:
        self._hits.clear()


class Values:
    """value_count: as many different values within the time span. The newest event of each is remembered."""

    def __init__(self, span_ns: int, least: int) -> None:
        self._span_ns = span_ns
        self._least = least
        self._newest: OrderedDict[str, Hit] = OrderedDict()

    def add(self, hit: Hit) -> bool:
        if hit.value is None:
            return False
        key = _short(hit.value)
        self._newest[key] = hit
        self._newest.move_to_end(key)
        after_ns = hit.time_ns - self._span_ns
        while next(iter(self._newest.values())).time_ns < after_ns:
            self._newest.popitem(last=False)
        return len(self._newest) >= self._least

    def members(self) -> list[int]:
        return [hit.sequence for hit in self._newest.values()]

    def clear(self) -> None:
        self._newest.clear()


class Together:
    """temporal: the rules matched within the time span, in any order; `enough` says of which it takes."""

    def __init__(self, span_ns: int, enough: Callable[[frozenset[int]], bool]) -> None:
        self._span_ns = span_ns
        self._enough = enough
        self._newest: dict[int, Hit] = {}

    def add(self, hit: Hit) -> bool:
        self._newest[hit.rule] = hit
        self._newest = {
            rule: each for rule, each in self._newest.items() if each.time_ns >= hit.time_ns - self._span_ns
        }
        return self._enough(frozenset(self._newest))

    def members(self) -> list[int]:
        return sorted({hit.sequence for hit in self._newest.values()})

    def clear(self) -> None:
        self._newest.clear()


class InOrder:
    """temporal_ordered: the rules matched one after the other, as listed, all within the time span.

    For each number of rules the chain that began last is remembered: it is the one with the most time left.
    One event is one step, also when it matches the next rule as well.
    """

    def __init__(self, span_ns: int, rules: int) -> None:
        self._span_ns = span_ns
        self._chains: list[tuple[Hit, ...]] = [()] * rules

    def add(self, hit: Hit) -> bool:
        step = hit.rule
        before = self._chains[step - 1] if step else ()
        if step and not self._goes_on(before, hit):
            return False
        self._chains[step] = (*before, hit)
        return step == len(self._chains) - 1

    def _goes_on(self, chain: Sequence[Hit], hit: Hit) -> bool:
        if not chain or chain[-1].sequence == hit.sequence:
            return False
        return chain[-1].time_ns <= hit.time_ns <= chain[0].time_ns + self._span_ns

    def members(self) -> list[int]:
        return [hit.sequence for hit in self._chains[-1]]

    def clear(self) -> None:
        self._chains = [()] * len(self._chains)


class Measure:
    """value_sum, _avg, _median, _percentile: of the numbers within the time span, with each new one."""

    def __init__(
        self, span_ns: int, of: Callable[[Sequence[float]], float], holds: Callable[[float], bool]
    ) -> None:
        self._span_ns = span_ns
        self._of = of
        self._holds = holds
        self._hits: deque[tuple[Hit, float]] = deque(maxlen=MEMBERS_MAX)

    def add(self, hit: Hit) -> bool:
        if (number := _number(hit.value)) is None:
            return False
        self._hits.append((hit, number))
        while self._hits[0][0].time_ns < hit.time_ns - self._span_ns:
            self._hits.popleft()
        return self._holds(self._of([each for _hit, each in self._hits]))

    def members(self) -> list[int]:
        return [hit.sequence for hit, _number in self._hits]

    def clear(self) -> None:
        self._hits.clear()


def _forget(hits: deque[Hit], before_ns: int) -> None:
    while hits and hits[0].time_ns < before_ns:
        hits.popleft()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _short(text: str) -> str:
    if len(text) <= TEXT_MAX:
        return text
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=24).hexdigest()


def average(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def percentile(percent: float) -> Callable[[Sequence[float]], float]:
    """With the numbers between two ranks interpolated, as SQL's percentile_cont; 50 is the median."""

    def of(numbers: Sequence[float]) -> float:
        ordered = sorted(numbers)
        place = (len(ordered) - 1) * percent / 100
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (ordered[above] - ordered[below]) * (place - below)

    return of
