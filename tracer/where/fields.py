"""What may be asked of an event: names, and how each is read.

The long names are those that `rubicon export` writes (`tracer.export.ecs`), and mean the same.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tracer.events import (
    Boundary,
    Dns,
    Event,
    Exec,
    Exit,
    File,
    Flow,
    Network,
    Outcome,
    Spoken,
    Violation,
)

Value = str | int | Sequence[str] | None
Violations = Sequence[Violation]
Reader = Callable[[Event, Violations], Value]


class Kind(Enum):
    TEXT = auto()
    PATH = auto()
    NUMBER = auto()
    ADDRESS = auto()
    LEVEL = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """`read` gives None, or nothing, where the event has no such field; several values: one is enough."""

    name: str
    short: tuple[str, ...]
    kind: Kind
    about: str
    read: Reader


def _file(reader: Callable[[File], Value]) -> Reader:
    return lambda event, _: reader(event.detail) if isinstance(event.detail, File) else None


def _network(reader: Callable[[Network], Value]) -> Reader:
    return lambda event, _: reader(event.detail) if isinstance(event.detail, Network) else None


def _boundary(reader: Callable[[Boundary], Value]) -> Reader:
    return lambda event, _: reader(event.detail) if isinstance(event.detail, Boundary) else None


def _path(event: Event, _: Violations) -> Value:
    detail = event.detail
    if isinstance(detail, File):
        return detail.path
    if isinstance(detail, Exec) and event.outcome is Outcome.FAILURE:
        return detail.path
    return None


def _exit_code(event: Event, _: Violations) -> Value:
    detail = event.detail
    if not isinstance(detail, Exit):
        return None
    return 128 + detail.signal if detail.signal else detail.code


def _error(event: Event, _: Violations) -> Value:
    return errno.errorcode.get(event.error, str(event.error)) if event.error else None


def _parent(reader: str) -> Reader:
    return lambda event, _: getattr(event.process.parent, reader) if event.process.parent else None


def _ancestors(event: Event, _: Violations) -> Value:
    return tuple(each.name for each in event.process.parent.lineage()) if event.process.parent else None


def _container(reader: str) -> Reader:
    return lambda event, _: getattr(event.container, reader) if event.container else None


def _step(name: str) -> Reader:
    return lambda event, _: getattr(event.step, name) if event.step else None


def _protocol(network: Network) -> Value:
    more = network.more
    return more.protocol if isinstance(more, Spoken) else "dns" if isinstance(more, Dns) else None


def _bytes(network: Network) -> Value:
    return network.more.bytes_in + network.more.bytes_out if isinstance(network.more, Flow) else None


def _port(network: Network) -> Value:
    return network.destination_port if network.destination_ip else None


def _source_port(network: Network) -> Value:
    return network.source_port if network.source_ip else None


def _question(network: Network) -> Value:
    return network.more.name if isinstance(network.more, Dns) else None


def _server_name(network: Network) -> Value:
    return network.more.server_name if isinstance(network.more, Spoken) else None


_TEXT, _PATH, _NUMBER, _ADDRESS, _LEVEL = Kind.TEXT, Kind.PATH, Kind.NUMBER, Kind.ADDRESS, Kind.LEVEL

FIELDS: tuple[Field, ...] = (
    Field("event.action", ("action",), _TEXT, "exec, connect, file_write ...", lambda e, _: e.action.value),
    Field("event.category", ("category",), _TEXT, "process, network, file", lambda e, _: e.category.value),
    Field("event.outcome", ("outcome",), _TEXT, "success, failure, unknown", lambda e, _: e.outcome.value),
    Field("event.sequence", ("seq",), _NUMBER, "number of the event", lambda e, _: e.sequence),
    Field("error.code", ("error",), _TEXT, "EACCES, ECONNREFUSED ...", _error),
    Field("process.pid", ("pid",), _NUMBER, "process", lambda e, _: e.process.pid),
    Field("process.entity_id", ("entity",), _TEXT, "pid and start", lambda e, _: e.process.entity_id),
    Field("process.name", ("name",), _TEXT, "as the kernel calls it", lambda e, _: e.process.name),
    Field("process.executable", ("exe",), _PATH, "program that runs", lambda e, _: e.process.executable),
    Field("process.args", ("arg",), _TEXT, "one of its arguments", lambda e, _: e.process.args),
    Field("process.command_line", ("cmd",), _TEXT, "all arguments", lambda e, _: e.process.command_line),
    Field("process.working_directory", ("cwd",), _PATH, "where", lambda e, _: e.process.working_directory),
    Field("process.exit_code", ("exit",), _NUMBER, "128 + n for a signal", _exit_code),
    Field("process.parent.pid", ("ppid",), _NUMBER, "who started it", _parent("pid")),
    Field("process.parent.name", ("parent",), _TEXT, "who started it", _parent("name")),
    Field("process.parent.executable", (), _PATH, "who started it", _parent("executable")),
    Field("process.ancestors.name", ("ancestor",), _TEXT, "one of those it comes from", _ancestors),
    Field("user.id", ("uid",), _NUMBER, "user", lambda e, _: e.process.user_id),
    Field("user.name", ("user",), _TEXT, "user", lambda e, _: e.process.user_name),
    Field("container.id", (), _TEXT, "container", _container("id")),
    Field("container.name", ("container",), _TEXT, "container", _container("name")),
    Field("container.image.name", ("image",), _TEXT, "image of the container", _container("image")),
    Field("file.path", ("path",), _PATH, "file or directory", _path),
    Field("file.Ext.original.path", ("from",), _PATH, "old name", _file(lambda f: f.original_path)),
    Field("file.target_path", ("link",), _PATH, "where a link points", _file(lambda f: f.target_path)),
    Field(
        "rubicon.file.bytes_written", ("written",), _NUMBER, "bytes, at the close",
        _file(lambda f: f.bytes_written),
    ),
    Field("destination.ip", ("dest.ip", "ip"), _ADDRESS, "other end", _network(lambda n: n.destination_ip)),
    Field("destination.port", ("dest.port", "port"), _NUMBER, "other end", _network(_port)),
    Field(
        "destination.domain", ("dest.domain", "domain"), _TEXT, "its name",
        _network(lambda n: (n.destination_domain, *n.other_domains)),
    ),
    Field("source.ip", ("src.ip",), _ADDRESS, "who began", _network(lambda n: n.source_ip)),
    Field("source.port", ("src.port",), _NUMBER, "who began", _network(_source_port)),
    Field("socket.path", ("socket",), _PATH, "unix socket", _network(lambda n: n.path)),
    Field("network.type", (), _TEXT, "ipv4, ipv6, unix ...", _network(lambda n: n.type.value)),
    Field("network.transport", ("transport",), _TEXT, "tcp, udp ...", _network(lambda n: n.transport)),
    Field("network.direction", ("direction",), _TEXT, "egress, ingress", _network(lambda n: n.direction)),
    Field("network.protocol", ("protocol",), _TEXT, "tls, ssh, http ...", _network(_protocol)),
    Field("network.bytes", ("bytes",), _NUMBER, "both ways, at the end", _network(_bytes)),
    Field("tls.client.server_name", ("sni",), _TEXT, "host asked for by TLS", _network(_server_name)),
    Field("dns.question.name", ("dns",), _TEXT, "name asked for", _network(_question)),
    Field("rubicon.boundary.call", ("call",), _TEXT, "setns, mount ...", _boundary(lambda b: b.call)),
    Field("rubicon.scope", ("scope",), _NUMBER, "scope", lambda e, _: e.scope),
    Field("rubicon.target", ("target",), _TEXT, "as you named it", lambda e, _: e.target),
    Field("rubicon.evidence", ("evidence",), _TEXT, "kernel, user", lambda e, _: e.evidence.value),
    Field("rubicon.step", ("step",), _TEXT, "step of the agent", _step("id")),
    Field("gen_ai.tool.name", ("tool",), _TEXT, "tool it called", _step("tool")),
    Field("gen_ai.conversation.id", ("episode",), _TEXT, "what the step is of", _step("episode")),
    Field("rule.id", (), _TEXT, "what was broken", lambda _, vs: tuple(v.rule.id for v in vs)),
    Field("rule.name", ("rule",), _TEXT, "what was broken", lambda _, vs: tuple(v.rule.name for v in vs)),
    Field("rule.level", ("level",), _LEVEL, "how bad", lambda _, vs: tuple(v.rule.level.value for v in vs)),
    Field(
        "threat.technique.id", ("technique",), _TEXT, "T1572 ...",
        lambda _, vs: tuple(each for v in vs for each in v.rule.techniques),
    ),
    Field("message", (), _TEXT, "what broke the rule", lambda _, vs: tuple(v.summary for v in vs)),
)  # fmt: skip

_BY_NAME: Mapping[str, Field] = {
    name.lower(): field for field in FIELDS for name in (field.name, *field.short)
}


def field_named(name: str) -> Field | None:
    return _BY_NAME.get(name.lower())


def names() -> Sequence[str]:
    """Every name, long and short."""
    return tuple(_BY_NAME)


def texts(value: Value) -> Sequence[str]:
    """The values of a field as text; none where it is absent."""
    if value is None or value in ("", ()):
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, int):
        return (str(value),)
    return [each for each in value if each]
