"""A Sigma filter: an exception to rules that are written elsewhere (Sigma Filters Specification 2.1.0).

title: our backup may read them
logsource: {category: process_creation, product: linux}
filter:
  rules: [2e3d...]        ids or names, or any: all of this log source
  selection: {Image: /usr/bin/restic}
  condition: not selection
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tracer.errors import RuleFileError
from tracer.rules.detection import Detection, LogSourceKeys, compile_section
from tracer.rules.header import Header, listed, parse_header
from tracer.rules.parsed import NotHereError
from tracer.rules.variables import Variables
from tracer.rules.yamlfile import Document


def _references(value: object) -> object:
    return [] if value == "any" else listed(value)


class _Section(BaseModel):
    model_config = ConfigDict(extra="allow")

    rules: Annotated[list[str], BeforeValidator(_references)]
    condition: str


class _Header(Header):
    logsource: LogSourceKeys
    filter: _Section


@dataclass(frozen=True, slots=True)
class Filter:
    """`rules` are ids or names; empty means all of the log source."""

    title: str
    logsource: LogSourceKeys
    rules: frozenset[str]
    section: dict[str, Any]
    document: Document
    placeholders: Variables

    def concerns(self, detection: Detection) -> bool:
        if not self.logsource.covers(detection.logsource):
            return False
        return not self.rules or not self.rules.isdisjoint((detection.rule.id, detection.name))

    def apply(self, detection: Detection) -> Detection:
        """Raises RuleFileError when the filter asks for what events of the rule's log source do not have."""
        try:
            node = compile_section(
                self.document, detection.source, self.section, "filter", placeholders=self.placeholders
            )
        except NotHereError as error:
            raise RuleFileError([self.document.problem(("filter",), str(error))]) from None
        return detection.filtered(node, self.section)


def compile_filter(document: Document, placeholders: Variables) -> Filter:
    """Raises RuleFileError with every problem but those that only show with a rule."""
    header = parse_header(document, _Header)
    section = dict(document.value["filter"])
    rules = frozenset(header.filter.rules)
    return Filter(header.title, header.logsource, rules, section, document, placeholders)


def apply_filters(detections: Sequence[Detection], filters: Sequence[Filter]) -> list[Detection]:
    """Raises RuleFileError."""
    return [_filtered(detection, filters) for detection in detections]


def _filtered(detection: Detection, filters: Sequence[Filter]) -> Detection:
    for each in filters:
        if each.concerns(detection):
            detection = each.apply(detection)
    return detection
