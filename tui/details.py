"""What the details pane says about a selection, as a document of labelled values.

The values are raw: whoever draws them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tracer.events import CERTAIN, Event, Level, Process, Result, Taken
from tracer.text import address
from tui import describe
from tui.fields import Field, detail_fields
from tui.snapshot import FileRow, Peer, ProcessRow, Snapshot, Summary, ViolationGroup

MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """`kind` says what it is about, `lead` what happened, in a sentence."""

    kind: str
    title: str
    lead: str = ""
    level: Level | None = None
    sections: tuple[Section, ...] = ()


def of_violation(group: ViolationGroup) -> Document:
    violation = group.violation
    rule = violation.rule
    about = [
        Field("level", f"{describe.LEVEL_MARKS[rule.level]} {rule.level.value}", rule.level.value),
        Field("rule", f"{rule.id} ({rule.kind.value})"),
        Field("why", rule.description),
        Field("attack", " ".join(rule.techniques)),
        Field("times", _times(group)),
    ]
    return Document(
        "violation",
        rule.name,
        violation.summary,
        rule.level,
        (
            _section("Rule", *about),
            *_actions(group),
            _section("Matched", *(Field(match.field, match.value, "strong") for match in violation.matched)),
            *_step(violation.event),
            _lineage(violation.event.process),
            _section("Around it", *_around(group)),
            _event_section(violation.event),
        ),
    )


def _step(event: Event) -> Iterator[Section]:
    """What the agent was at, when it told."""
    step = event.step
    if step is not None:
        yield _section(
            "Step",
            Field("step", step.id, "strong"),
            Field("tool", step.tool),
            Field("call", step.call_id),
            Field("episode", step.episode),
            Field("found", "" if step.confidence == CERTAIN else f"afterwards, {step.confidence} % sure"),
        )


def _around(group: ViolationGroup) -> Iterator[Field]:
    """What the same process did just before and just after, and the act itself between."""
    if not (group.before or group.after):
        return
    for event in group.before:
        yield _moment(event, "dim")
    yield _moment(group.violation.event, group.violation.rule.level.value)
    for event in group.after:
        yield _moment(event, "dim")


def _moment(event: Event, style: str) -> Field:
    words = f"{describe.action_word(event.action)} {describe.subject(event)}"
    return Field(describe.clock_time(event.time_ns), words, style)


def _actions(group: ViolationGroup) -> Iterator[Section]:
    """What was done about it, if anything was."""
    taken = group.taken
    if taken is None:
        return
    after = (
        "before the call returned" if taken.in_kernel else f"{taken.latency_ns / 1e6:,.1f} ms after the act"
    )
    yield _section(
        "Action",
        Field("result", describe.deed(taken), "strong"),
        Field("says", taken.message),
        Field("when", after if taken.result is Result.DONE else ""),
    )


def _times(group: ViolationGroup) -> str:
    if group.count == 1:
        return ""
    first = describe.clock_time(group.first_ns)
    return f"{describe.number(group.count)}, first {first}, last {describe.clock_time(group.last_ns)}"


def of_event(event: Event, level: Level | None) -> Document:
    process = event.process
    lead = f"{process.name}[{process.pid}] {describe.action_word(event.action)} {describe.subject(event)}"
    return Document(
        "event",
        f"{event.action.value}",
        lead,
        level,
        (
            _event_section(event),
            _section("Detail", *detail_fields(event)),
            *_step(event),
            *_process_sections(process),
        ),
    )


def of_process(row: ProcessRow, snapshot: Snapshot) -> Document:
    process = row.process
    return Document(
        "process",
        f"{process.name}[{process.pid}]",
        process.command_line,
        row.level,
        (
            _section("State", *_state_fields(row)),
            _broken(process.entity_id, snapshot),
            _section("Files written", *_listed(row.written, describe.byte_size)),
            _section("Connections", *_listed(row.peers, lambda times: f"{times:,}×")),  # noqa: RUF001
            _children(process.entity_id, snapshot),
            *_process_sections(process),
        ),
    )


def _listed(values: Mapping[str, int], worded: Callable[[int], str]) -> Iterator[Field]:
    """The newest first."""
    newest = list(reversed(list(values.items())))
    for name, count in newest[:MAX_LISTED]:
        yield Field(worded(count), name)
    yield _more(len(newest))


def of_taken(taken: Taken) -> Document:
    """Something that Rubicon did."""
    subject = taken.subject
    about = (
        Field("result", taken.result.value, "strong"),
        Field("time", describe.full_time(taken.time_ns)),
        Field("asked by", taken.rule.name if taken.rule else taken.by),
        Field("process", f"{subject.name}[{subject.pid}]" if subject else ""),
        Field("for event", str(taken.event) if taken.event else ""),
        Field("took", f"{taken.latency_ns / 1e6:,.1f} ms" if taken.latency_ns else ""),
    )
    return Document("action", taken.response.value, taken.message, None, (_section("Action", *about),))


def of_peer(peer: Peer) -> Document:
    at = address(peer.ip, peer.port)
    times = describe.several(peer.connects, "connect")
    failed = f", {describe.number(peer.failed)} failed" if peer.failed else ""
    about = (
        Field("address", at if peer.ip else peer.name, "strong"),
        Field("domain", peer.name if peer.name != peer.ip and peer.transport != "unix" else ""),
        Field("transport", peer.transport),
        Field("protocol", peer.protocol),
        Field("direction", "it was connected to from there" if peer.incoming else ""),
        Field("times", times + failed),
        Field("sent", describe.byte_size(peer.bytes_out)),
        Field("received", describe.byte_size(peer.bytes_in)),
        Field("first", describe.full_time(peer.first_ns)),
        Field("last", describe.full_time(peer.last_ns)),
        Field("processes", " ".join(peer.processes)),
        Field("known", "an earlier session had it, too" if peer.known else "new: no earlier session had it"),
    )
    return Document("peer", peer.name, "", peer.level, (_section("Peer", *about),))


def of_file(row: FileRow) -> Document:
    about = (
        Field("path", row.path, "strong"),
        Field("files", describe.number(row.files) if row.is_folder else ""),
        Field("written", describe.byte_size(row.bytes)),
        Field("by", " ".join(row.writers)),
        Field("last", describe.full_time(row.last_ns)),
        Field("gone", "it was removed or renamed" if row.gone else ""),
        Field(
            "place",
            "outside the workspace" if row.outside else "in the workspace",
            "note" if row.outside else "",
        ),
    )
    return Document(
        "folder" if row.is_folder else "file", row.name, "", row.level, (_section("File", *about),)
    )


def of_session(summary: Summary) -> Document:
    """What there is to say while nothing is selected."""
    session = summary.session
    started = describe.full_time(session.started_ns) if session.started_ns else ""
    fields = (
        Field("session", session.id),
        Field("target", session.target),
        Field("command", " ".join(session.command)),
        Field("started", started),
        Field("times in", describe.zone(session.started_ns)),
        Field("host", session.host),
        Field("kernel", session.kernel),
        Field("processes", describe.number(summary.processes)),
        Field("lost", _lost(summary)),
    )
    lead = "Select a violation, a process or an event, and it is explained here."
    return Document("session", "Session", lead, None, (_section("Session", *fields),))


def _lost(summary: Summary) -> str:
    losses = summary.losses
    if not losses.total:
        return "nothing"
    return f"{describe.number(losses.critical)} critical, {describe.number(losses.bulk)} file records"


def _section(title: str, *fields: Field) -> Section:
    """Without the fields that have nothing to say."""
    return Section(title, tuple(field for field in fields if field.value))


def _event_section(event: Event) -> Section:
    cuts = ", ".join(f"{cut.field} ({cut.length_bytes} bytes)" for cut in event.truncated)
    return _section(
        "Event",
        Field("action", event.action.value),
        Field("time", describe.full_time(event.time_ns)),
        Field("outcome", _outcome(event), "failed" if event.error else ""),
        Field("process", f"{event.process.name}[{event.process.pid}]"),
        Field("thread", str(event.thread_id) if event.thread_id != event.process.pid else ""),
        Field("container", _container(event)),
        Field("evidence", _evidence(event)),
        Field("truncated", cuts, "note"),
        Field("sequence", str(event.sequence)),
    )


def _outcome(event: Event) -> str:
    return f"{event.outcome.value} {describe.error_name(event.error)}".rstrip()


def _container(event: Event) -> str:
    container = event.container
    if container is None:
        return ""
    return " ".join(filter(None, (container.runtime, container.shown, container.image)))


def _evidence(event: Event) -> str:
    where = "was there when the watch began" if event.snapshot else ""
    return ", ".join(filter(None, (event.evidence.value, where)))


def _state_fields(row: ProcessRow) -> list[Field]:
    counts = row.counts
    ended = "running"
    if row.exit:
        ended = f"{describe.exit_status(row.exit)} at {describe.clock_time(row.exited_ns)}"
    folded = f"{describe.several(row.folded, 'exited descendant')} not shown" if row.folded else ""
    did = f"{counts.execs} exec, {counts.connects} network, {counts.files} file, {counts.failures} failed"
    return [
        Field("state", ended, "failed" if row.exit and (row.exit.code or row.exit.signal) else ""),
        Field("did", did),
        Field("folded", folded),
    ]


def _broken(entity_id: str, snapshot: Snapshot) -> Section:
    """Its own violations, newest first."""
    groups = [group for group in snapshot.violations if group.violation.event.process.entity_id == entity_id]
    fields = [
        Field(
            f"{describe.LEVEL_MARKS[group.violation.rule.level]} {describe.clock_time(group.last_ns)}",
            f"{group.violation.rule.name}: {group.violation.summary}",
            group.violation.rule.level.value,
        )
        for group in groups[:MAX_LISTED]
    ]
    return _section("Violations", *fields, _more(len(groups)))


def _children(entity_id: str, snapshot: Snapshot) -> Section:
    children = [
        row.process
        for row in snapshot.processes
        if row.process.parent is not None and row.process.parent.entity_id == entity_id
    ]
    fields = [Field(str(child.pid), describe.typed(child)) for child in children[:MAX_LISTED]]
    return _section("Children", *fields, _more(len(children)))


def _more(count: int) -> Field:
    return Field("…", f"{count - MAX_LISTED} more" if count > MAX_LISTED else "", "dim")


def _process_sections(process: Process) -> tuple[Section, Section]:
    user = f"{process.user_name or '?'} ({process.user_id}), group {process.group_id}"
    effective = process.effective_user_id
    namespaced = process.namespace_pid not in {0, process.pid}
    about = _section(
        "Process",
        Field("executable", process.executable),
        Field("arguments", process.command_line),
        Field("directory", process.working_directory),
        Field("user", user),
        Field("acts as", f"user {effective}" if effective != process.user_id else "", "note"),
        Field("started", describe.full_time(process.start_time_ns)),
        Field("inside pid", str(process.namespace_pid) if namespaced else ""),
    )
    return about, _lineage(process)


def _lineage(process: Process) -> Section:
    """From the process up to its oldest known ancestor."""
    return _section("Lineage", *(Field(str(each.pid), describe.typed(each)) for each in process.lineage()))
