"""An event, or a violation, as one object with Elastic Common Schema names (ECS 8).

Names: https://www.elastic.co/guide/en/ecs/current/ecs-field-reference.html; what ECS has no name for is
under `rubicon`. As ECS wants it, ids of users and inodes are strings, and `event.category`, `process.args`
and `threat.technique.id` are arrays. A name that does not apply is left out. `schema.Document` is the whole
shape.

Text from traced programs is made valid Unicode here; it is not escaped for a terminal, JSON does that.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tracer.events import (
    CERTAIN,
    NO_ID,
    Action,
    Boundary,
    Busy,
    Container,
    Credentials,
    Dns,
    Event,
    Evidence,
    Exec,
    Exit,
    File,
    Flow,
    Fork,
    Network,
    NetworkType,
    Outcome,
    Process,
    Response,
    Result,
    Rule,
    Spoken,
    Step,
    Taken,
    Violation,
    capability_names,
)
from tracer.text import valid_unicode

_FILE_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_ACCESS_MODES = {os.O_RDONLY: "O_RDONLY", os.O_WRONLY: "O_WRONLY", os.O_RDWR: "O_RDWR"}
_OPEN_FLAGS = {
    getattr(os, name): name
    for name in ("O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_NOFOLLOW", "O_DIRECT", "O_PATH")
}
_ACTION_TYPES = {
    Response.ALERT: "info",
    Response.FREEZE: "change",
    Response.THAW: "change",
    Response.KILL: "end",
    Response.KILL_SCOPE: "end",
    Response.DENY: "denied",
}
_ACTION_OUTCOMES = {
    Result.DONE: Outcome.SUCCESS,
    Result.WOULD: Outcome.UNKNOWN,
    Result.GONE: Outcome.UNKNOWN,
    Result.FAILED: Outcome.FAILURE,
    Result.REFUSED: Outcome.FAILURE,
}
_OWN_END = frozenset({Action.BIND, Action.LISTEN, Action.ACCEPT})
_O_TMPFILE_BIT = os.O_TMPFILE & ~os.O_DIRECTORY  # include/uapi/asm-generic/fcntl.h: __O_TMPFILE


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is the same in every document of one session.

    target     as the user named it, e.g. "pid:42"
    tier       of the probes: "A" or "B"
    start_ns   of the session, nanoseconds since the Unix epoch; the time of a summary without any event
    host       the name of the machine, or ""
    kernel     its release, or ""
    version    of Rubicon when it was recorded, or ""
    """

    session: str
    target: str
    tier: str
    start_ns: int = 0
    host: str = ""
    kernel: str = ""
    version: str = ""


def session_facts(record: Mapping[str, Any]) -> SessionFacts:
    """The facts from a trace's session record: `id`, `targets` (as named), `tier` and so on."""
    return SessionFacts(
        session=str(record.get("id") or "unknown"),
        target=" ".join(str(target) for target in record.get("targets") or ()),
        tier=str(record.get("tier") or "unknown"),
        start_ns=start_ns if isinstance(start_ns := record.get("start_ns"), int) else 0,
        host=valid_unicode(str(record.get("host") or "")),
        kernel=valid_unicode(str(record.get("kernel") or "")),
        version=valid_unicode(str(record.get("version") or "")),
    )


class ProcessDocuments:
    """The `process` documents of images seen lately, as most events come from few of them.

    Held by who writes many documents; a document is three times slower to make without. At most `limit` are
    kept, so that a long session does not fill the memory.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._made: dict[Process, dict[str, Any]] = {}
        self._limit = limit

    def of(self, process: Process) -> dict[str, Any]:
        """A document the caller may add names to."""
        made = self._made.get(process)
        if made is None:
            if len(self._made) >= self._limit:
                self._made.clear()
            made = self._made[process] = _with_lineage(process)
        return made.copy()


def event_document(
    event: Event, session: SessionFacts, processes: ProcessDocuments | None = None
) -> dict[str, Any]:
    """One event: `event.kind` is "event", or "state" for what was already there at the attach."""
    process = processes.of(event.process) if processes else _with_lineage(event.process)
    process["thread"] = {"id": event.thread_id}
    document: dict[str, Any] = {
        "@timestamp": timestamp(event.time_ns),
        "event": {
            "kind": "state" if event.snapshot else "event",
            "category": [event.category.value],
            "action": event.action.value,
            "outcome": event.outcome.value,
            "sequence": event.sequence,
        },
        "process": process,
        "rubicon": _rubicon(event, session),
    }
    if user := _user(event.process):
        document["user"] = user
    if event.container is not None:
        _add_container(document, event.container)
    if event.step is not None:
        _add_step(document, event.step)
    if event.error:
        document["error"] = {"code": errno.errorcode.get(event.error, str(event.error))}
    _add_detail(document, event)
    return document


def violation_document(
    violation: Violation, session: SessionFacts, processes: ProcessDocuments | None = None
) -> dict[str, Any]:
    """The event that broke a rule, with `event.kind` "alert", the rule, and what matched."""
    document = event_document(violation.event, session, processes)
    document["event"]["kind"] = "alert"
    document["message"] = valid_unicode(violation.summary)
    _add_rule(document, violation.rule)
    document["rubicon"]["matched"] = [
        {"field": match.field, "value": valid_unicode(match.value)} for match in violation.matched
    ]
    return document


def _add_rule(document: dict[str, Any], rule: Rule) -> None:
    document["rule"] = {
        "id": rule.id,
        "name": rule.name,
        "level": rule.level.value,
        "category": rule.kind.value,
    }
    if rule.description:
        document["rule"]["description"] = rule.description
    if rule.techniques:
        document["threat"] = {"framework": "MITRE ATT&CK", "technique": {"id": list(rule.techniques)}}


def action_document(taken: Taken, session: SessionFacts) -> dict[str, Any]:
    """An action of Rubicon's own. It has no number: it is no event from the kernel.

    By ECS it is an "event" (something that was done; an "alert" would be counted as one more violation) of
    the category "intrusion_detection", which tells it from what the sandbox did; `event.type` is "denied" for
    a refused act, "end", "change", or "info" when nothing was done.
    """
    document: dict[str, Any] = {
        "@timestamp": timestamp(taken.time_ns),
        "event": {
            "kind": "event",
            "category": ["intrusion_detection"],
            "type": [_ACTION_TYPES[taken.response] if taken.result is Result.DONE else "info"],
            "action": taken.response.value,
            "outcome": _ACTION_OUTCOMES[taken.result].value,
        },
        "message": valid_unicode(taken.message),
        "rubicon": {
            "session": session.session,
            "target": valid_unicode(session.target),
            "tier": session.tier,
            "action": {
                "result": taken.result.value,
                "latency_ns": taken.latency_ns,
                "in_kernel": taken.in_kernel,
            },
        },
    }
    if taken.scope:
        document["rubicon"]["scope"] = taken.scope
    if taken.target:
        document["rubicon"]["target"] = valid_unicode(taken.target)
    if taken.by:
        document["rubicon"]["action"]["by"] = valid_unicode(taken.by)
    if taken.event:
        document["rubicon"]["action"]["event"] = taken.event
    if taken.rule:
        _add_rule(document, taken.rule)
    if taken.subject:
        subject = taken.subject
        document["process"] = {
            "pid": subject.pid,
            "entity_id": subject.entity_id,
            "executable": valid_unicode(subject.executable),
            "name": valid_unicode(subject.name),
        }
    return document


def timestamp(time_ns: int) -> str:
    """RFC 3339 in UTC with nanoseconds, for nanoseconds since the Unix epoch."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


def _with_lineage(process: Process) -> dict[str, Any]:
    """The process with its parent and all known ancestors, the oldest last."""
    document = _image(process)
    if process.parent is not None:
        document["parent"] = _image(process.parent)
        document["ancestors"] = [_ancestor(ancestor) for ancestor in process.parent.lineage()]
    return document


def _image(process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "entity_id": process.entity_id,
        "executable": valid_unicode(process.executable),
        "args": [valid_unicode(argument) for argument in process.args],
        "command_line": valid_unicode(process.command_line),
        "working_directory": valid_unicode(process.working_directory),
        "name": valid_unicode(process.name),
        "start": timestamp(process.start_time_ns),
    }


def _ancestor(process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "entity_id": process.entity_id,
        "executable": valid_unicode(process.executable),
        "name": valid_unicode(process.name),
    }


def _user(process: Process) -> dict[str, Any]:
    if process.user_id == NO_ID:
        return {}
    user: dict[str, Any] = {"id": str(process.user_id), "group": {"id": str(process.group_id)}}
    if process.user_name:
        user["name"] = valid_unicode(process.user_name)
    if process.effective_user_id != process.user_id:
        user["effective"] = {"id": str(process.effective_user_id)}
    return user


def _rubicon(event: Event, session: SessionFacts) -> dict[str, Any]:
    rubicon: dict[str, Any] = {
        "session": session.session,
        "scope": event.scope,
        "target": valid_unicode(event.target or session.target),
        "tier": session.tier,
        "evidence": event.evidence.value,
    }
    if isinstance(event.detail, Exec) and event.detail.args_from_caller:
        rubicon["args_evidence"] = Evidence.USER.value
    if event.process.setting_up:
        rubicon["setting_up"] = True
    if event.answer:
        rubicon["answer"] = event.answer.value
    if event.truncated:
        rubicon["truncated"] = [
            {"field": cut.field, "length_bytes": cut.length_bytes} for cut in event.truncated
        ]
    return rubicon


def _add_step(document: dict[str, Any], step: Step) -> None:
    """By ECS and OpenTelemetry's conventions for generative AI, where they have names."""
    document["rubicon"]["step"] = valid_unicode(step.id)
    if step.confidence < CERTAIN:
        document["rubicon"]["step_confidence"] = step.confidence / CERTAIN
    facts: dict[str, Any] = {}
    if step.tool or step.call_id:
        facts["tool"] = {"name": valid_unicode(step.tool)} if step.tool else {}
        if step.call_id:
            facts["tool"]["call"] = {"id": valid_unicode(step.call_id)}
    if step.episode:
        facts["conversation"] = {"id": valid_unicode(step.episode)}
    if facts:
        document["gen_ai"] = facts
    if step.trace_id:
        document["trace"], document["span"] = {"id": step.trace_id}, {"id": step.span_id}


def _add_container(document: dict[str, Any], container: Container) -> None:
    facts: dict[str, Any] = {"id": valid_unicode(container.id)}
    if container.runtime:
        facts["runtime"] = valid_unicode(container.runtime)
    if container.name:
        facts["name"] = valid_unicode(container.name)
    if container.image:
        facts["image"] = {"name": valid_unicode(container.image)}
    if container.id:
        document["container"] = facts
    if container.pod:
        document["orchestrator"] = {
            "type": "kubernetes",
            "namespace": valid_unicode(container.namespace),
            "resource": {"type": "pod", "name": valid_unicode(container.pod)},
        }


def _add_detail(document: dict[str, Any], event: Event) -> None:
    match event.detail:
        case Fork() as detail:
            document["rubicon"]["fork"] = {"generation": detail.generation, "alive": detail.alive}
        case Busy() as detail:
            document["rubicon"]["cpu"] = {
                "percent": detail.percent,
                "threads": detail.threads,
                **({"contact": detail.contact} if detail.contact else {}),
            }
        case Exec() as detail:
            _add_exec(document, detail, event.process.cgroup_id, failed=event.outcome is Outcome.FAILURE)
        case Exit() as detail:
            _add_exit(document, detail)
        case Network() as detail:
            _add_network(document, detail, event.action)
        case File() as detail:
            _add_file(document, detail, event.action)
        case Boundary() as detail:
            _add_boundary(document, detail)
        case None:
            pass


def _add_exec(document: dict[str, Any], detail: Exec, cgroup_id: int, *, failed: bool) -> None:
    """`process` is the new image; of a failed exec it is the caller, and the file is what it tried to run."""
    if failed:
        document["file"] = {"path": valid_unicode(detail.path), **_identity(detail)}
        document["rubicon"]["attempted"] = {
            "filename": valid_unicode(detail.filename),
            "args": [valid_unicode(argument) for argument in detail.args],
        }
        return
    facts: dict[str, Any] = {
        "filename": valid_unicode(detail.filename),
        "deleted": detail.deleted,
        "stdin": detail.stdin.value,
        "stdout": detail.stdout.value,
        "stderr": detail.stderr.value,
        **_identity(detail),
    }
    if detail.stdin_peer:
        facts["stdin_peer"] = detail.stdin_peer
    if detail.namespaces.mount:
        facts["namespaces"] = asdict(detail.namespaces)
    if cgroup_id:
        facts["cgroup"] = str(cgroup_id)
    document["rubicon"]["exec"] = facts


def _add_exit(document: dict[str, Any], detail: Exit) -> None:
    """A process ended by a signal gets the exit code a shell would give it, 128 + n."""
    document["process"]["exit_code"] = 128 + detail.signal if detail.signal else detail.code
    if detail.signal:
        document["rubicon"]["signal"] = {"number": detail.signal, "name": _signal_name(detail.signal)}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if number >= signal.SIGRTMIN else str(number)


def _add_network(document: dict[str, Any], detail: Network, action: Action) -> None:
    document["network"] = {"type": detail.type.value, "transport": detail.transport}
    if detail.direction:
        document["network"]["direction"] = detail.direction
    if detail.type not in (NetworkType.IPV4, NetworkType.IPV6):
        end = "source" if action in _OWN_END else "destination"
        if detail.path or detail.type is NetworkType.UNIX:
            document[end] = {"address": valid_unicode(detail.path)}
        if detail.family:
            document["rubicon"]["socket"] = {"family": detail.family}
    if detail.first_contact:
        document["rubicon"]["first_contact"] = True
    _add_ends(document, detail)
    match detail.more:
        case Spoken() as spoken:
            _add_spoken(document, spoken)
        case Dns() as dns:
            _add_dns(document, dns)
        case Flow() as flow:
            _add_flow(document, flow, detail.direction)
        case None:
            pass


def _add_ends(document: dict[str, Any], detail: Network) -> None:
    if detail.destination_ip:
        document["destination"] = _endpoint(detail.destination_ip, detail.destination_port)
    if detail.destination_domain:
        document.setdefault("destination", {})["domain"] = valid_unicode(detail.destination_domain)
    if detail.source_ip:
        document["source"] = _endpoint(detail.source_ip, detail.source_port)


def _add_spoken(document: dict[str, Any], spoken: Spoken) -> None:
    if spoken.protocol:
        document["network"]["protocol"] = spoken.protocol
    if spoken.server_name:
        document["tls"] = {"client": {"server_name": spoken.server_name}}
    if spoken.domain:
        document["url"] = {"domain": spoken.domain}
    facts = {"banner": valid_unicode(spoken.banner), "method": valid_unicode(spoken.method)}
    if facts := {name: value for name, value in facts.items() if value}:
        document["rubicon"]["spoken"] = facts


def _add_dns(document: dict[str, Any], dns: Dns) -> None:
    document["network"]["protocol"] = "dns"
    facts: dict[str, Any] = {
        "type": "answer" if dns.is_answer else "query",
        "id": str(dns.id),
        "question": {"name": dns.name, "type": dns.type, "class": dns.question_class},
    }
    if dns.is_answer:
        facts["response_code"] = dns.response_code
        facts["answers"] = [
            {
                "name": answer.name,
                "type": answer.type,
                "class": answer.answer_class,
                "ttl": answer.ttl_seconds,
                "data": answer.data,
            }
            for answer in dns.answers
        ]
        addresses = [answer.data for answer in dns.answers if answer.type in ("A", "AAAA")]
        facts["resolved_ip"] = list(dict.fromkeys(addresses))
    document["dns"] = facts


def _add_flow(document: dict[str, Any], flow: Flow, direction: str) -> None:
    """The source is who began; a watched process that accepted is the destination."""
    document["event"]["duration"] = flow.duration_ns
    ends = ("destination", "source") if direction == "ingress" else ("source", "destination")
    sides = zip(ends, (flow.bytes_out, flow.bytes_in), (flow.messages_out, flow.messages_in), strict=True)
    messages = flow.messages_in + flow.messages_out
    for end, size, count in sides:
        facts = document.setdefault(end, {})
        facts["bytes"] = size
        if messages:
            facts["packets"] = count
    document["network"]["bytes"] = flow.bytes_in + flow.bytes_out
    if messages:
        document["network"]["packets"] = messages
    if flow.late:
        document["rubicon"]["late"] = True
    if flow.relayed:
        document["rubicon"]["flow"] = {"relayed": [asdict(leg) for leg in flow.relayed]}


def _endpoint(ip: str, port: int) -> dict[str, Any]:
    return {"address": ip, "ip": ip, "port": port}


def _add_file(document: dict[str, Any], detail: File, action: Action) -> None:
    file: dict[str, Any] = {"path": valid_unicode(detail.path), **_identity(detail), **_mode(detail.mode)}
    if detail.original_path:
        file["Ext"] = {"original": {"path": valid_unicode(detail.original_path)}}  # Elastic's own name for it
    if detail.target_path:
        file["target_path"] = valid_unicode(detail.target_path)
    if detail.owner_id >= 0:
        file["uid"] = str(detail.owner_id)
    if detail.group_id >= 0:
        file["gid"] = str(detail.group_id)
    if action is Action.FILE_TRUNCATE:
        file["size"] = detail.size
    document["file"] = file
    facts: dict[str, Any] = {}
    if action in (Action.FILE_WRITE, Action.FILE_READ):
        facts = {"created": detail.created, "flags": open_flags(detail.flags)}
        if detail.inherited:
            facts |= {
                "inherited": True,
                "redirected": detail.redirected,
                "descriptor": max(detail.descriptor, 0),
            }
    elif action is Action.FILE_CLOSE:
        facts = {"bytes_written": detail.bytes_written, "writes": detail.writes}
    if detail.contact:
        facts["contact"] = detail.contact
    if detail.copy:
        facts["copy"] = valid_unicode(detail.copy)
    if facts:
        document["rubicon"]["file"] = facts


def _add_boundary(document: dict[str, Any], detail: Boundary) -> None:
    texts = {
        "call": detail.call,
        "operation": detail.operation,
        "path": valid_unicode(detail.path),
        "source": valid_unicode(detail.source),
        "filesystem": valid_unicode(detail.filesystem),
        "name": valid_unicode(detail.name),
        "value": valid_unicode(detail.value),
    }
    facts: dict[str, Any] = {name: text for name, text in texts.items() if text}
    if detail.own_namespace:
        facts["own_namespace"] = True
    facts["user_namespace_level"] = detail.user_namespace_level
    if detail.flags:
        facts["flags"] = list(detail.flags)
    if detail.requested:
        facts["requested"] = list(detail.requested)
    if detail.target is not None:
        target = asdict(detail.target)
        facts["target"] = target | {"name": valid_unicode(detail.target.name)}
    if detail.old is not None and detail.new is not None:
        facts["old"], facts["new"] = _ids(detail.old), _ids(detail.new)
        _add_capabilities(document, facts, detail.old, detail.new)
    document["rubicon"]["boundary"] = facts


def _ids(credentials: Credentials) -> dict[str, int]:
    facts = asdict(credentials)
    return {name: value for name, value in facts.items() if name not in ("permitted", "effective")}


def _add_capabilities(
    document: dict[str, Any], facts: dict[str, Any], old: Credentials, new: Credentials
) -> None:
    """What an act changed; the whole sets, under their ECS names, only then."""
    if (old.permitted, old.effective) == (new.permitted, new.effective):
        return
    document["process"]["thread"]["capabilities"] = {
        "permitted": capability_names(new.permitted),
        "effective": capability_names(new.effective),
    }
    facts["capabilities"] = {
        "gained": capability_names(new.effective & ~old.effective),
        "lost": capability_names(old.effective & ~new.effective),
    }


def _identity(detail: File | Exec) -> dict[str, Any]:
    """Inode, and device as "major:minor" as in /proc/self/mountinfo; nothing when they are not known."""
    if not detail.inode:
        return {}
    return {"inode": str(detail.inode), "device": f"{os.major(detail.device)}:{os.minor(detail.device)}"}


def _mode(mode: int) -> dict[str, Any]:
    if not mode:
        return {}
    facts: dict[str, Any] = {"mode": f"{stat.S_IMODE(mode):04o}"}
    if (file_type := _FILE_TYPES.get(stat.S_IFMT(mode))) is not None:
        facts["type"] = file_type
    return facts


def open_flags(flags: int) -> list[str]:
    """The names of open(2) flags that say what was wanted with the file, the access mode first."""
    names = [_ACCESS_MODES.get(flags & os.O_ACCMODE, "O_ACCMODE")]
    names += [name for bit, name in _OPEN_FLAGS.items() if flags & bit]
    if flags & _O_TMPFILE_BIT:
        names.append("O_TMPFILE")
    return names
