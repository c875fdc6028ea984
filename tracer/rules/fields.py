"""What a rule may ask of an event: the fields of each Sigma log source, and how they are read.

Names on the left are Sigma's (https://github.com/SigmaHQ/sigma-specification, taxonomy); those on the right
are the ones `rubicon export` writes, for rules of our own.

An empty value is an absent one: `Field: null`, `Field: ''` and `Field|exists: false` say the same.

Which events a log source takes in:

process_creation    a program that runs now: a successful exec, and what ran already at the attach
network_connection  a connect to an internet address, whatever came of it (unix sockets are not network),
                    and the first datagram to one without a connect
network_protocol    the first bytes sent on an internet connection, in either direction: a category of our own
dns_query           a question to a resolver
file_event          a name that has, or may now get, other content: opened for writing or created, renamed
                    (the new name), linked, symlinked

`logsources` adds those for which Sigma has no category.

rubicon_boundary    of our own: acts on namespaces, mounts, credentials, other processes and the kernel, and
                    connects to unix sockets, behind which somebody else may do it

An exec, a file or a boundary event that permission stopped (EACCES, EPERM, EROFS) is taken in like the act
itself; `event.outcome` tells them apart. Others that failed, such as a look along the PATH, did nothing and
are not.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any, TypeVar

from tracer.events import (
    BOUNDARY_ACTIONS,
    Action,
    Boundary,
    Container,
    Credentials,
    Dns,
    Event,
    Exec,
    File,
    Network,
    NetworkType,
    Outcome,
    Process,
    Spoken,
    StdioKind,
    capability_names,
)
from tracer.reach import parse_ip, reach_of
from tracer.rules.sentences import REFUSALS


class Facts(dict[Callable[["Facts"], Any], Any]):
    """The values of one event, each read when a rule first asks for it: `facts[reader]`."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event = event  # a dict that begins empty needs no more

    def __missing__(self, reader: Reader) -> Any:
        value = self[reader] = reader(self)
        return value


Reader = Callable[[Facts], Any]


class Kind(Enum):
    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    ADDRESS = auto()
    LIST = auto()  # of texts; a rule matches when one of them does


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of a log source.

    name    as the rule writes it
    value   reads it as it is: str, int, bool, or for LIST a tuple of str; None (or ()) when it is absent
    text    reads it as text (for LIST a tuple), None when it is absent
    folded  likewise in lower case
    common  it has few values, each in a great many events
    """

    name: str
    kind: Kind
    value: Reader
    text: Reader
    folded: Reader
    common: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LogSource:
    """A Sigma category: its fields by name, and which events it takes in.

    known_absent    fields of the Sigma taxonomy that nothing on Linux, or not yet Rubicon, can fill
    keywords        the fields that are searched for values without a field
    """

    category: str
    actions: tuple[Action, ...]
    applies: Callable[[Event], bool]
    fields: Mapping[str, Field]
    known_absent: frozenset[str]
    keywords: tuple[str, ...]


def _text(reader: Reader, kind: Kind) -> Reader:
    if kind is Kind.FLAG:
        return lambda facts: "true" if facts[reader] else "false"
    if kind is Kind.NUMBER:
        return lambda facts: None if (number := facts[reader]) is None else str(number)
    return reader


def _folded(reader: Reader, kind: Kind) -> Reader:
    if kind is Kind.LIST:
        return lambda facts: tuple([text.lower() for text in facts[reader]])
    if kind in (Kind.FLAG, Kind.NUMBER):
        return reader
    return lambda facts: None if (text := facts[reader]) is None else text.lower()


def fields_of(
    readers: Mapping[str, Reader],
    kind: Kind = Kind.TEXT,
    names: Mapping[str, str] | None = None,
    *,
    common: bool = False,
) -> dict[str, Field]:
    """Fields of one kind by the name on the right; `names` gives Sigma's to those that have one."""
    made: dict[str, Field] = {}
    for name, reader in readers.items():
        text = _text(reader, kind)
        folded = _folded(text, kind)
        for written in (name, *(sigma for sigma, ours in (names or {}).items() if ours == name)):
            made[written] = Field(written, kind, reader, text, folded, common)
    return made


# --- the process ------------------------------------------------------------------------------------------


def _failed_exec(facts: Facts) -> Exec | None:
    """The detail of an exec that was refused: then `Event.process` is still the caller's image."""
    event = facts.event
    if event.outcome is Outcome.FAILURE and isinstance(event.detail, Exec):
        return event.detail
    return None


def args(facts: Facts) -> tuple[str, ...]:
    failed = facts[_failed_exec]
    return tuple(failed.args if failed else facts.event.process.args)


def executable(facts: Facts) -> str | None:
    failed = facts[_failed_exec]
    return (failed.path if failed else facts.event.process.executable) or None


def _user(facts: Facts) -> str:
    return _user_of(facts.event.process)


def _user_of(process: Process) -> str:
    return process.user_name or ("root" if process.user_id == 0 else str(process.user_id))


def _of_parent(read: Callable[[Process], Any]) -> Reader:
    def reader(facts: Facts) -> Any:
        parent = facts.event.process.parent
        return None if parent is None else read(parent)

    return reader


def _of_container(read: Callable[[Container], str]) -> Callable[[Facts], str | None]:
    def value(facts: Facts) -> str | None:
        container = facts.event.container
        return (read(container) or None) if container else None

    return value


PROCESS: dict[str, Field] = {
    **fields_of(
        {
            "event.action": lambda facts: str(facts.event.action),
            "event.kind": lambda facts: "state" if facts.event.snapshot else "event",
            "event.outcome": lambda facts: str(facts.event.outcome),
        },
        common=True,
    ),
    **fields_of(
        {
            "error.code": lambda facts: errno.errorcode.get(facts.event.error),
            "process.entity_id": lambda facts: facts.event.process.entity_id,
            "process.parent.entity_id": _of_parent(lambda parent: parent.entity_id),
            "process.executable": executable,
            "process.command_line": lambda facts: " ".join(facts[args]) or None,
            "process.working_directory": lambda facts: facts.event.process.working_directory or None,
            "process.name": lambda facts: facts.event.process.name or None,
            "user.name": _user,
            "container.id": _of_container(lambda container: container.id),
            "container.name": _of_container(lambda container: container.name),
            "container.image.name": _of_container(lambda container: container.image),
            "container.runtime": _of_container(lambda container: container.runtime),
            "orchestrator.namespace": _of_container(lambda container: container.namespace),
            "orchestrator.resource.name": _of_container(lambda container: container.pod),
            "rubicon.target": lambda facts: facts.event.target or None,
            "process.parent.executable": _of_parent(lambda parent: parent.executable or None),
            "process.parent.command_line": _of_parent(lambda parent: parent.command_line or None),
            "process.parent.name": _of_parent(lambda parent: parent.name or None),
            "process.parent.user.name": _of_parent(_user_of),
        },
        names={
            "Image": "process.executable",
            "CommandLine": "process.command_line",
            "CurrentDirectory": "process.working_directory",
            "User": "user.name",
            "ParentImage": "process.parent.executable",
            "ParentCommandLine": "process.parent.command_line",
            "ParentUser": "process.parent.user.name",
        },
    ),
    **fields_of(
        {
            "process.pid": lambda facts: facts.event.process.pid,
            "process.parent.pid": _of_parent(lambda parent: parent.pid),
            "user.id": lambda facts: facts.event.process.user_id,
            "user.effective.id": lambda facts: facts.event.process.effective_user_id,
            "rubicon.scope": lambda facts: facts.event.scope,
        },
        Kind.NUMBER,
        {"ProcessId": "process.pid", "ParentProcessId": "process.parent.pid"},
    ),
    **fields_of(
        {
            "process.args": args,
            "process.parent.args": lambda facts: tuple(parent.args) if (parent := _parent(facts)) else (),
            "process.ancestors.executable": lambda facts: tuple(
                [each.executable for each in _ancestors(facts)]
            ),
            "process.ancestors.command_line": lambda facts: tuple(
                [each.command_line for each in _ancestors(facts)]
            ),
        },
        Kind.LIST,
    ),
}


def _parent(facts: Facts) -> Process | None:
    return facts.event.process.parent


_MAX_ANCESTORS = 64


def _ancestors(facts: Facts) -> Iterator[Process]:
    """Parent, grandparent and so on."""
    return islice(facts.event.process.lineage(), 1, 1 + _MAX_ANCESTORS)


# --- the details ------------------------------------------------------------------------------------------


AnyDetail = TypeVar("AnyDetail")


def of_detail(kind: type[AnyDetail], read: Callable[[AnyDetail], Any]) -> Reader:
    """Of an event with another detail nothing."""

    def reader(facts: Facts) -> Any:
        detail = facts.event.detail
        return read(detail) if isinstance(detail, kind) else None

    return reader


def of_exec(read: Callable[[Exec], Any]) -> Reader:
    return of_detail(Exec, read)


def of_network(read: Callable[[Network], Any]) -> Reader:
    return of_detail(Network, read)


def of_file(read: Callable[[File], Any]) -> Reader:
    return of_detail(File, read)


def _address(text: str) -> str | None:
    """An IPv4 address that came in IPv6 clothes (::ffff:192.0.2.1) is an IPv4 address to a rule."""
    if ":" in text and "." in text:
        return str(parse_ip(text) or text)
    return text or None


_EXEC: dict[str, Field] = {
    **fields_of(
        {
            "rubicon.exec.filename": of_exec(lambda detail: detail.filename or None),
            "rubicon.exec.stdin": of_exec(lambda detail: _stdio(detail.stdin)),
            "rubicon.exec.stdout": of_exec(lambda detail: _stdio(detail.stdout)),
            "rubicon.exec.stderr": of_exec(lambda detail: _stdio(detail.stderr)),
            "rubicon.exec.stdin_peer": of_exec(lambda detail: detail.stdin_peer or None),
            "rubicon.exec.argv0": of_exec(lambda detail: (detail.args[0] if detail.args else "") or None),
            "rubicon.exec.code": lambda facts: _code(facts.event),
        }
    ),
    **fields_of({"rubicon.exec.deleted": of_exec(lambda detail: detail.deleted)}, Kind.FLAG),
}


_INTERPRETERS = re.compile(r"(?:[abckz]|da|fi|mk|tc)?sh|node|(?:perl|php|pypy|python|ruby)[\d.]*")


def _code(event: Event) -> str | None:
    """The file that holds what is run: of an interpreter its script, when it is given one by name."""
    detail, folder = event.detail, event.process.working_directory
    if not isinstance(detail, Exec):
        return None
    first = detail.args[1] if len(detail.args) > 1 else ""
    if _INTERPRETERS.fullmatch(os.path.basename(detail.path)) and first and not first.startswith("-"):
        return os.path.normpath(os.path.join(folder, first))
    return detail.path or None


def _stdio(kind: StdioKind) -> str:
    return str(kind)


NETWORK: dict[str, Field] = {
    **fields_of(
        {
            "destination.domain": of_network(lambda detail: detail.destination_domain or None),
            "network.transport": of_network(lambda detail: detail.transport or None),
            "rubicon.network.destination": of_network(
                lambda detail: f"{detail.destination_ip} {detail.destination_port}"
            ),
            "rubicon.network.reach": of_network(lambda detail: reach_of(detail.destination_ip)),
            "network.type": of_network(lambda detail: str(detail.type)),
        },
        names={"DestinationHostname": "destination.domain", "Protocol": "network.transport"},
    ),
    **fields_of(
        {
            "destination.ip": of_network(lambda detail: _address(detail.destination_ip)),
            "source.ip": of_network(lambda detail: _address(detail.source_ip)),
        },
        Kind.ADDRESS,
        {"DestinationIp": "destination.ip", "SourceIp": "source.ip"},
    ),
    **fields_of(
        {
            "destination.port": of_network(lambda detail: detail.destination_port),
            "source.port": of_network(lambda detail: detail.source_port or None),
        },
        Kind.NUMBER,
        {"DestinationPort": "destination.port", "SourcePort": "source.port"},
    ),
    **fields_of(
        {
            "Initiated": of_network(lambda detail: detail.direction != "ingress"),
            "rubicon.network.first_contact": of_network(lambda detail: detail.first_contact),
            "DestinationIsIpv6": of_network(lambda detail: detail.type is NetworkType.IPV6),
            "SourceIsIpv6": of_network(lambda detail: detail.type is NetworkType.IPV6),
        },
        Kind.FLAG,
    ),
}

_SPOKEN: dict[str, Field] = {
    **fields_of(
        {
            "network.protocol": lambda facts: ((said := facts[_spoken]) and said.protocol) or None,
            "tls.client.server_name": lambda facts: ((said := facts[_spoken]) and said.server_name) or None,
            "url.domain": lambda facts: ((said := facts[_spoken]) and said.domain) or None,
            "rubicon.spoken.banner": lambda facts: ((said := facts[_spoken]) and said.banner) or None,
            "rubicon.spoken.method": lambda facts: ((said := facts[_spoken]) and said.method) or None,
            "network.direction": of_network(lambda detail: detail.direction or None),
        }
    ),
}

DNS: dict[str, Field] = {
    **fields_of(
        {
            "dns.question.name": lambda facts: (asked := facts[_dns]) and asked.name,
            "dns.question.type": lambda facts: (asked := facts[_dns]) and asked.type,
        },
        names={
            "QueryName": "dns.question.name",
            "query": "dns.question.name",
            "record_type": "dns.question.type",
        },
    ),
}


def _spoken(facts: Facts) -> Spoken | None:
    detail = facts.event.detail
    return detail.more if isinstance(detail, Network) and isinstance(detail.more, Spoken) else None


def _dns(facts: Facts) -> Dns | None:
    detail = facts.event.detail
    return detail.more if isinstance(detail, Network) and isinstance(detail.more, Dns) else None


FILE: dict[str, Field] = {
    **fields_of(
        {
            "file.path": of_file(lambda detail: detail.path or None),
            "file.name": of_file(lambda detail: os.path.basename(detail.path) or None),
            "file.Ext.original.path": of_file(lambda detail: detail.original_path or None),
            "file.target_path": of_file(lambda detail: detail.target_path or None),
        },
        names={"TargetFilename": "file.path", "SourceFilename": "file.Ext.original.path"},
    ),
    **fields_of({"rubicon.file.created": of_file(lambda detail: detail.created)}, Kind.FLAG),
}


def of_boundary(read: Callable[[Boundary], Any]) -> Reader:
    return of_detail(Boundary, read)


def _of_credentials(name: str, when: str) -> Reader:
    def read(detail: Boundary) -> int | None:
        credentials: Credentials | None = getattr(detail, when)
        return None if credentials is None else getattr(credentials, name)

    return of_boundary(read)


def _gained_capabilities(detail: Boundary) -> tuple[str, ...]:
    if detail.old is None or detail.new is None:
        return ()
    return tuple(capability_names(detail.new.effective & ~detail.old.effective))


def _lists(read: Callable[[Boundary], tuple[str, ...]]) -> Reader:
    return lambda facts: read(facts.event.detail) if isinstance(facts.event.detail, Boundary) else ()


_IDS = ("uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid")
_BOUNDARY: dict[str, Field] = {
    **fields_of(
        {
            "destination.address": of_network(lambda detail: detail.path or None),
            "rubicon.boundary.call": of_boundary(lambda detail: detail.call or None),
            "rubicon.boundary.operation": of_boundary(lambda detail: detail.operation or None),
            "rubicon.boundary.path": of_boundary(lambda detail: detail.path or None),
            "rubicon.boundary.source": of_boundary(lambda detail: detail.source or None),
            "rubicon.boundary.filesystem": of_boundary(lambda detail: detail.filesystem or None),
            "rubicon.boundary.name": of_boundary(lambda detail: detail.name or None),
            "rubicon.boundary.value": of_boundary(lambda detail: detail.value or None),
            "rubicon.boundary.target.name": of_boundary(
                lambda detail: (detail.target.name or None) if detail.target else None
            ),
            "rubicon.boundary.target.relation": of_boundary(
                lambda detail: str(detail.target.relation) if detail.target else None
            ),
        }
    ),
    **fields_of(
        {
            "rubicon.boundary.target.pid": of_boundary(
                lambda detail: detail.target.pid if detail.target else None
            ),
            "rubicon.boundary.user_namespace_level": of_boundary(lambda detail: detail.user_namespace_level),
            **{
                f"rubicon.boundary.{when}.{name}": _of_credentials(name, when)
                for when in ("old", "new")
                for name in _IDS
            },
        },
        Kind.NUMBER,
    ),
    **fields_of(
        {
            "rubicon.boundary.flags": _lists(lambda detail: detail.flags),
            "rubicon.boundary.capabilities.gained": _lists(_gained_capabilities),
        },
        Kind.LIST,
    ),
    **fields_of(
        {
            "rubicon.boundary.gained_root": of_boundary(lambda detail: detail.gained_root),
            "rubicon.boundary.own_namespace": of_boundary(lambda detail: detail.own_namespace),
        },
        Kind.FLAG,
    ),
}


# --- the log sources --------------------------------------------------------------------------------------


def happened(event: Event) -> bool:
    return event.outcome is not Outcome.FAILURE or event.error in REFUSALS


_INTERNET = (NetworkType.IPV4, NetworkType.IPV6)


def _is_connection(event: Event) -> bool:
    detail = event.detail
    return isinstance(detail, Network) and detail.type in _INTERNET and detail.more is None


def _is_spoken(event: Event) -> bool:
    detail = event.detail
    return isinstance(detail, Network) and isinstance(detail.more, Spoken)


def _is_question(event: Event) -> bool:
    detail = event.detail
    return isinstance(detail, Network) and isinstance(detail.more, Dns) and not detail.more.is_answer


def _is_boundary(event: Event) -> bool:
    detail = event.detail
    return happened(event) and (not isinstance(detail, Network) or detail.type is NetworkType.UNIX)


PROCESS_KEYWORDS = ("Image", "CommandLine", "CurrentDirectory", "User", "ParentImage", "ParentCommandLine")
EVERYWHERE_ABSENT = frozenset(
    {"UtcTime", "ProcessGuid", "LogonId", "LogonGuid", "TerminalSessionId", "RuleName"}
)

LOG_SOURCES: Mapping[str, LogSource] = {
    source.category: source
    for source in (
        LogSource(
            "process_creation",
            (Action.EXEC,),
            happened,
            PROCESS | _EXEC,
            frozenset(
                {
                    "OriginalFileName",
                    "FileVersion",
                    "Description",
                    "Product",
                    "Company",
                    "IntegrityLevel",
                    "Hashes",
                    "Imphash",
                    "md5",
                    "sha1",
                    "sha256",
                    "ParentProcessGuid",
                    *EVERYWHERE_ABSENT,
                }
            ),
            PROCESS_KEYWORDS,
        ),
        LogSource(
            "network_connection",
            (Action.CONNECT, Action.SEND),
            _is_connection,
            PROCESS | NETWORK,
            frozenset({"SourceHostname", "SourcePortName", "DestinationPortName", *EVERYWHERE_ABSENT}),
            (*PROCESS_KEYWORDS, "DestinationIp", "DestinationHostname"),
        ),
        LogSource(
            "network_protocol",
            (Action.SEND,),
            _is_spoken,
            PROCESS | NETWORK | _SPOKEN,
            EVERYWHERE_ABSENT,
            (*PROCESS_KEYWORDS, "tls.client.server_name", "url.domain"),
        ),
        LogSource(
            "dns_query",
            (Action.DNS,),
            _is_question,
            PROCESS | NETWORK | DNS,
            frozenset({"QueryStatus", "QueryResults", "answer", *EVERYWHERE_ABSENT}),
            (*PROCESS_KEYWORDS, "QueryName"),
        ),
        LogSource(
            "file_event",
            (Action.FILE_WRITE, Action.FILE_RENAME, Action.FILE_LINK, Action.FILE_SYMLINK),
            happened,
            PROCESS | FILE,
            frozenset({"CreationUtcTime", "PreviousCreationUtcTime", "Hashes", *EVERYWHERE_ABSENT}),
            (*PROCESS_KEYWORDS, "TargetFilename", "SourceFilename"),
        ),
        LogSource(
            "rubicon_boundary",
            (*BOUNDARY_ACTIONS, Action.CONNECT),
            _is_boundary,
            PROCESS | _BOUNDARY,
            EVERYWHERE_ABSENT,
            (*PROCESS_KEYWORDS, "rubicon.boundary.path", "rubicon.boundary.name", "destination.address"),
        ),
    )
}
