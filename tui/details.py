"""What the details pane says about a selection, as a document of labelled values.

The values are raw: whoever draws them escapes them.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from tracer.events import (
    Boundary,
    Credentials,
    Dns,
    Event,
    Exec,
    Exit,
    File,
    Flow,
    Level,
    Network,
    Process,
    Result,
    Spoken,
    capability_names,
)
from tui import describe
from tui.snapshot import ProcessRow, Snapshot, Summary, ViolationGroup

MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Field:
    """`style` is one of the component classes of the pane, "" for plain."""

    label: str
    value: str
    style: str = ""


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
        Field("says", rule.description),
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
            _lineage(violation.event.process),
            _event_section(violation.event),
        ),
    )


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
        (_event_section(event), _section("Detail", *_detail_fields(event)), *_process_sections(process)),
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
            *_process_sections(process),
            _children(process.entity_id, snapshot),
        ),
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


def _detail_fields(event: Event) -> list[Field]:
    detail = event.detail
    if isinstance(detail, File):
        return _file_fields(detail)
    if isinstance(detail, Network):
        return _network_fields(detail)
    if isinstance(detail, Exec):
        return _exec_fields(detail)
    if isinstance(detail, Exit):
        return [Field("ended", describe.exit_status(detail))]
    if isinstance(detail, Boundary):
        return _boundary_fields(detail)
    return []


def _file_fields(file: File) -> list[Field]:
    written = f"{describe.byte_size(file.bytes_written)} in {describe.several(file.writes, 'write')}"
    return [
        Field("path", file.path, "strong"),
        Field("was", file.original_path),
        Field("points to", file.target_path),
        Field("created", "yes" if file.created else ""),
        Field("flags", describe.open_flags(file.flags) if file.flags else ""),
        Field("mode", stat.filemode(file.mode) if file.mode else ""),
        Field("written", written if file.writes else ""),
        Field("size", describe.byte_size(file.size) if file.size else ""),
        Field("owner", describe.owner(file)),
        Field("inode", f"{file.inode} on device {file.device}" if file.inode else ""),
    ]


def _network_fields(network: Network) -> list[Field]:
    peer = describe.address(network.destination_ip, network.destination_port)
    return [
        Field("to", network.path or peer, "strong"),
        Field("domain", network.destination_domain),
        Field("from", describe.address(network.source_ip, network.source_port)),
        Field("transport", f"{network.transport} over {network.family or network.type.value}"),
        Field("direction", "" if network.direction == "egress" else network.direction),
        *_said_fields(network),
    ]


def _said_fields(network: Network) -> list[Field]:
    match network.more:
        case Spoken() as spoken:
            return [
                Field("protocol", spoken.protocol),
                Field("asks for", spoken.server_name or spoken.domain),
                Field("banner", spoken.banner),
                Field("method", spoken.method),
            ]
        case Dns() as dns:
            return [Field("dns", describe.dns_message(dns)), Field("response", dns.response_code)]
        case Flow() as flow:
            return [
                Field("sent", describe.byte_size(flow.bytes_out)),
                Field("received", describe.byte_size(flow.bytes_in)),
                Field("lasted", describe.duration(flow.duration_ns)),
            ]
        case None:
            return []


def _exec_fields(image: Exec) -> list[Field]:
    peer = f" to {image.stdin_peer}" if image.stdin_peer else ""
    return [
        Field("executable", image.path, "strong"),
        Field("called as", image.filename if image.filename != image.path else ""),
        Field("arguments", " ".join(image.args)),
        Field("deleted", "yes: the file was gone when it ran" if image.deleted else ""),
        Field("stdin", image.stdin.value + peer),
        Field("stdout", image.stdout.value),
        Field("stderr", image.stderr.value),
    ]


def _boundary_fields(act: Boundary) -> list[Field]:
    changed = act.old != act.new
    level = act.user_namespace_level
    return [
        Field("call", act.call),
        Field("operation", act.operation, "strong"),
        Field("to", str(act.target) if act.target else "", "strong"),
        Field("path", act.path, "strong"),
        Field("source", act.source),
        Field("type", act.filesystem),
        Field("name", act.name),
        Field("value", act.value),
        Field("flags", " ".join(act.flags)),
        Field("asked for", ", ".join("keep" if each == -1 else str(each) for each in act.requested)),
        Field("before", _ids(act.old) if act.old and changed else ""),
        Field("after", _ids(act.new) if act.new and changed else ""),
        Field("gained", _gained(act.old, act.new), "note"),
        Field("lost", _gained(act.new, act.old)),
        Field("rights", f"only in a user namespace, {level} below the machine's" if level else ""),
    ]


def _ids(who: Credentials) -> str:
    """Real, effective and saved, as `user 0/0/0, group 0/0/0`."""
    return f"user {who.uid}/{who.euid}/{who.suid}, group {who.gid}/{who.egid}/{who.sgid}"


def _gained(before: Credentials | None, after: Credentials | None) -> str:
    if before is None or after is None:
        return ""
    return " ".join(capability_names(after.effective & ~before.effective))


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
