"""Which detection is a part of which correlation: references by id and name, resolved when all are read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracer.errors import Problem
from tracer.rules.correlation import Correlation, Correlator, Feed, Link
from tracer.rules.detection import Detection
from tracer.rules.header import Skipped

DEPTH_MAX = 8  # of correlations of correlations


@dataclass(slots=True)
class Wiring:
    """All that Sigma files gave, put together.

    feeds       of a detection, the correlations its events go into
    silent      detections that are only there for correlations
    """

    detections: Sequence[Detection]
    correlators: list[Correlator] = field(default_factory=list)
    feeds: dict[Detection, tuple[Feed, ...]] = field(default_factory=dict)
    silent: set[Detection] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def wire(
    detections: Sequence[Detection], correlations: Sequence[Correlation], skipped: Mapping[str, Skipped]
) -> Wiring:
    """`skipped` are rules that do not apply, by id and name: what refers to one does not apply either."""
    wiring = Wiring(detections)
    _Wirer(wiring, correlations, skipped).run()
    return wiring


class _Wirer:
    def __init__(
        self, wiring: Wiring, correlations: Sequence[Correlation], skipped: Mapping[str, Skipped]
    ) -> None:
        self._wiring = wiring
        self._correlations = correlations
        self._skipped = skipped
        self._detections = {
            key: each for each in wiring.detections for key in (each.rule.id, each.name) if key
        }
        self._by_key = {key: each for each in correlations for key in (each.rule.id, each.name) if key}
        self._correlators: dict[Correlation, Correlator | None] = {}
        self._under_way: list[Correlation] = []

    def run(self) -> None:
        for correlation in self._correlations:
            self._correlator(correlation)

    def _correlator(self, correlation: Correlation) -> Correlator | None:
        """None when it does not apply, or something is wrong with it; that has been noted then."""
        if correlation in self._correlators:
            return self._correlators[correlation]
        self._under_way.append(correlation)
        made = Correlator(correlation)
        parts = [self._part(made, index) for index in range(len(correlation.references))]
        self._under_way.pop()
        if None in parts:
            self._correlators[correlation] = None
            return None
        for connect in parts:
            assert connect is not None
            connect()
        made.definition = (correlation.document.value, *map(self._definition, correlation.references))
        self._wiring.correlators.append(made)
        self._correlators[correlation] = made
        return made

    def _definition(self, reference: str) -> Any:
        """What a rule that is referred to says; it is there."""
        if (detection := self._detections.get(reference)) is not None:
            return detection.definition
        inner = self._correlators[self._by_key[reference]]
        return inner.definition if inner else None

    def _part(self, made: Correlator, index: int) -> Callable[[], None] | None:
        """What connects a correlation with a rule that it refers to; None likewise."""
        reference = made.correlation.references[index]
        try:
            if (detection := self._detections.get(reference)) is not None:
                return self._feed(made, index, detection)
            if (inner := self._by_key.get(reference)) is not None:
                return self._link(made, index, inner)
        except ValueError as error:
            self._report(made.correlation, index, str(error))
            return None
        if (skipped := self._skipped.get(reference)) is not None:
            self._skip(made.correlation, skipped)
            return None
        close = difflib.get_close_matches(reference, [*self._detections, *self._by_key], n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        self._report(made.correlation, index, f'no rule has the id or name "{reference}"{hint}')
        return None

    def _feed(self, made: Correlator, index: int, detection: Detection) -> Callable[[], None]:
        feed = Feed.make(made, index, detection.source)

        def connect() -> None:
            self._wiring.feeds[detection] = (*self._wiring.feeds.get(detection, ()), feed)
            if not made.correlation.generate:
                self._wiring.silent.add(detection)

        return connect

    def _link(self, made: Correlator, index: int, inner: Correlation) -> Callable[[], None] | None:
        if inner in self._under_way:
            self._report(made.correlation, index, f'refers back to itself through "{inner.rule.name}"')
            return None
        if len(self._under_way) >= DEPTH_MAX:
            self._report(made.correlation, index, "is nested too deeply")
            return None
        if (correlator := self._correlator(inner)) is None:
            return None
        link = Link.make(made, index, inner)

        def connect() -> None:
            correlator.parents.append(link)
            correlator.silent = correlator.silent or not made.correlation.generate

        return connect

    def _skip(self, correlation: Correlation, skipped: Skipped) -> None:
        reason = f'refers to "{skipped.title}", which does not apply: {skipped.reason}'
        note = Skipped(correlation.file, correlation.line, correlation.rule.name, reason)
        if note not in self._wiring.skipped:
            self._wiring.skipped.append(note)

    def _report(self, correlation: Correlation, index: int, message: str) -> None:
        place = ("correlation", "rules", index)
        self._wiring.problems.append(correlation.document.problem(place, message))
