"""What scripts/bench measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workload, which did its work `times` over.

    elapsed_ns, own_cpu_ns      medians over those times, as the workload itself has measured them
    cpu_seconds, peak_bytes     of all of it and its tracer
    events, lost                what the tracer told, and what it says it has lost
    """

    elapsed_ns: int
    own_cpu_ns: int
    cpu_seconds: float
    peak_bytes: int
    times: int
    events: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    events: int
    lost: int
    trace_bytes: int


@dataclass(slots=True)
class Row:
    """Of one workload, an entry a round."""

    title: str
    size: int
    bare: list[Run] = field(default_factory=list)
    watched: list[Run] = field(default_factory=list)
    peers: dict[str, list[Run]] = field(default_factory=dict)
    recorded: list[Recorded] = field(default_factory=list)

    def ratios(self, of: Sequence[Run]) -> list[float]:
        return [each.elapsed_ns / bare.elapsed_ns for each, bare in zip(of, self.bare, strict=True)]

    def own_cpu_ratios(self) -> list[float]:
        pairs = zip(self.watched, self.bare, strict=True)
        return [each.own_cpu_ns / bare.own_cpu_ns for each, bare in pairs]

    def cpu_ratios(self, startup_seconds: float) -> list[float]:
        """Of workload and tracer together, without what the tracer takes to start."""
        pairs = zip(self.watched, self.bare, strict=True)
        return [(each.cpu_seconds - startup_seconds) / bare.cpu_seconds for each, bare in pairs]


@dataclass(slots=True)
class Results:
    rows: dict[str, Row] = field(default_factory=dict)
    beside: dict[str, Row] = field(default_factory=dict)
    scopes: dict[str, Row] = field(default_factory=dict)
    flood: list[tuple[Run, Recorded]] = field(default_factory=list)
    startup_seconds: list[float] = field(default_factory=list)
    startup_cpu_seconds: list[float] = field(default_factory=list)
