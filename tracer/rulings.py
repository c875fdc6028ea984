"""What was found and done, as context records of a trace, and back: violations, and Rubicon's own actions.

Written by `tracer.session`; read by `tracer.pipeline`, `tracer.export` and the TUI. A trace may come from
anybody: what it holds is checked, and what cannot be read raises TraceError, or is passed over where said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from tracer.context.fields import number, text, texts
from tracer.errors import TraceError
from tracer.events import Level, Match, Response, Result, Rule, RuleKind, Subject, Taken, Violation


def violation_record(violation: Violation) -> dict[str, Any]:
    """The context record that a trace keeps of a violation; it names the event by its number."""
    return {
        "type": "violation",
        "event": violation.event.sequence,
        "rule": rule_record(violation.rule),
        "matched": [[match.field, match.value] for match in violation.matched],
        "summary": violation.summary,
    }


def rule_record(rule: Rule) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": rule.id,
        "name": rule.name,
        "level": rule.level.value,
        "kind": rule.kind.value,
        "description": rule.description,
        "techniques": list(rule.techniques),
    }
    if rule.response is not Response.ALERT:
        record["response"] = rule.response.value
    return record


def read_rule(record: object) -> Rule:
    """Raises TraceError when it is not what `rule_record` wrote; so the next."""
    if not isinstance(record, Mapping):
        raise TraceError("a violation without a rule")
    try:
        level, kind = Level(text(record, "level")), RuleKind(text(record, "kind"))
        response = Response(text(record, "response", Response.ALERT))
    except ValueError as error:
        raise TraceError(f"a violation of a rule with a {error}") from None
    return Rule(
        text(record, "id"),
        text(record, "name"),
        level,
        kind,
        text(record, "description", ""),
        texts(record, "techniques"),
        response,
    )


def read_matched(record: Mapping[str, Any]) -> tuple[Match, ...]:
    matched = record.get("matched")
    if not isinstance(matched, list):
        raise TraceError("a violation without what matched")
    pairs = [texts({"type": "violation", "matched": pair}, "matched") for pair in matched]
    if not all(len(pair) == 2 for pair in pairs):
        raise TraceError("what matched in a violation is not a field and a value")
    return tuple(Match(field, value) for field, value in pairs)


def action_record(taken: Taken) -> dict[str, Any]:
    """The context record of an action; what does not apply is left out."""
    record: dict[str, Any] = {
        "type": "action",
        "time_ns": taken.time_ns,
        "action": taken.response.value,
        "result": taken.result.value,
        "message": taken.message,
        "latency_ns": taken.latency_ns,
    }
    if taken.in_kernel:
        record["in_kernel"] = True
    if taken.by:
        record["by"] = taken.by
    if taken.event:
        record["event"] = taken.event
    if taken.scope:
        record["scope"] = taken.scope
    if taken.target:
        record["target"] = taken.target
    if taken.rule:
        record["rule"] = rule_record(taken.rule)
    if taken.subject:
        subject = taken.subject
        record["process"] = {
            "pid": subject.pid,
            "entity_id": subject.entity_id,
            "name": subject.name,
            "executable": subject.executable,
        }
    return record


def read_action(record: Mapping[str, Any]) -> Taken:
    """Raises TraceError when it is not what `action_record` wrote."""
    try:
        response, result = Response(text(record, "action")), Result(text(record, "result"))
    except ValueError as error:
        raise TraceError(f"an action with a {error}") from None
    rule, process = record.get("rule"), record.get("process")
    return Taken(
        time_ns=number(record, "time_ns"),
        response=response,
        result=result,
        message=text(record, "message"),
        latency_ns=number(record, "latency_ns", 0),
        in_kernel=record.get("in_kernel") is True,
        by=text(record, "by", ""),
        event=number(record, "event", 0),
        rule=None if rule is None else read_rule(rule),
        subject=None if process is None else _read_subject(process),
        scope=number(record, "scope", 0),
        target=text(record, "target", ""),
    )


def _read_subject(record: object) -> Subject:
    if not isinstance(record, Mapping):
        raise TraceError("an action for a process that is none")
    return Subject(
        number(record, "pid"), text(record, "entity_id"), text(record, "name"), text(record, "executable")
    )


def actions_in(context: Iterable[Mapping[str, Any]]) -> Iterator[Taken]:
    """The actions among context records; those that cannot be read are passed over, as nothing depends on
    them."""
    for record in context:
        if record["type"] == "action":
            with suppress(TraceError):
                yield read_action(record)
