"""All log sources: Sigma's own, as `fields` has them, and those for which Sigma has no category.

file_access       a file opened for reading, or for reading and writing, and one that got another name. Opens
                  for reading are recorded only where a rule of this category asks for them; see `reads`
file_delete       a name was removed
rubicon_file      any act on a file but opens for reading: also attributes, lengths, and what was written by
                  the time it is closed
rubicon_network   a socket that listens, a connection that is accepted, and one that is closed, with what went
                  through it
rubicon_process   a fork
rubicon_cpu       a process that took half of a processor, or waited for that: once for each ten seconds of it
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from tracer.events import Action, Busy, Dns, Event, File, Flow, Fork, Network, NetworkType
from tracer.reach import reach_of
from tracer.rules import fields
from tracer.rules.domains import split_domain
from tracer.rules.fields import (
    DNS,
    EVERYWHERE_ABSENT,
    FILE,
    NETWORK,
    PROCESS,
    PROCESS_KEYWORDS,
    Facts,
    Field,
    Kind,
    LogSource,
    fields_of,
    happened,
    of_detail,
    of_file,
    of_network,
)

_FILE_ACTIONS = tuple(
    action for action in Action if action.startswith("file_") and action is not Action.FILE_READ
)
_NAMES = {
    os.O_TRUNC: "O_TRUNC",
    os.O_CREAT: "O_CREAT",
    os.O_APPEND: "O_APPEND",
    os.O_EXCL: "O_EXCL",
}
_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")


# --- files ------------------------------------------------------------------------------------------------


def _flags(facts: Facts) -> tuple[str, ...]:
    detail = facts.event.detail
    if facts.event.action is not Action.FILE_WRITE or not isinstance(detail, File):
        return ()
    return _names_of(detail.flags)


@lru_cache(maxsize=1024)
def _names_of(flags: int) -> tuple[str, ...]:
    return _ACCESS[flags & os.O_ACCMODE], *(name for bit, name in _NAMES.items() if flags & bit)


def _added_suffix(detail: File) -> str | None:
    """Of a rename that only puts something behind the old name: "locked" for "a" to "a.locked"."""
    old, new = detail.original_path, detail.path
    return new[len(old) + 1 :] or None if old and new.startswith(old + ".") else None


def _copy_suffix(detail: File) -> str | None:
    return detail.copy[len(detail.path) + 1 :] or None if detail.copy else None


def _is_own(facts: Facts) -> bool | None:
    """Whether a file of /proc/PID is of who opens it, by the kernel's number or that in its namespace."""
    detail, process = facts.event.detail, facts.event.process
    if not isinstance(detail, File) or not detail.path.startswith("/proc/"):
        return None
    return detail.path.split("/")[2] in (str(process.pid), str(process.namespace_pid))


def _reads(event: Event) -> bool:
    detail = event.detail
    if not happened(event) or not isinstance(detail, File):
        return False
    return event.action is not Action.FILE_WRITE or detail.flags & os.O_ACCMODE == os.O_RDWR


_FILE: dict[str, Field] = {
    **FILE,
    **fields_of(
        {
            "file.mode": of_file(lambda detail: f"{detail.mode & 0o7777:04o}" if detail.mode else None),
            "file.directory": of_file(lambda detail: os.path.dirname(detail.path) or None),
            "rubicon.file.added_suffix": of_file(_added_suffix),
            "rubicon.file.copy_suffix": of_file(_copy_suffix),
            "rubicon.file.contact": of_file(lambda detail: detail.contact or None),
        }
    ),
    **fields_of(
        {
            "rubicon.file.made_here": of_file(lambda detail: detail.made_here),
            "rubicon.file.own_process": _is_own,
        },
        Kind.FLAG,
    ),
    **fields_of(
        {
            "rubicon.file.bytes_written": of_file(lambda detail: detail.bytes_written),
            "file.size": of_file(lambda detail: detail.size),
            "file.uid": of_file(lambda detail: detail.owner_id if detail.owner_id >= 0 else None),
        },
        Kind.NUMBER,
    ),
    **fields_of({"rubicon.file.flags": _flags}, Kind.LIST),
}


# --- connections ------------------------------------------------------------------------------------------


def _flow(facts: Facts) -> Flow | None:
    detail = facts.event.detail
    return detail.more if isinstance(detail, Network) and isinstance(detail.more, Flow) else None


def _remote(detail: Network) -> str | None:
    """The address of the other end, whoever began."""
    return (detail.source_ip if detail.direction == "ingress" else detail.destination_ip) or None


def _remote_reach(facts: Facts) -> str | None:
    detail = facts.event.detail
    remote = _remote(detail) if isinstance(detail, Network) else None
    return remote and reach_of(remote)


def _legs(facts: Facts) -> tuple[str, ...]:
    """Of what was relayed, who began it and how far it goes, such as "egress loopback"."""
    flow = facts[_flow]
    legs = flow.relayed if flow else ()
    return tuple(dict.fromkeys(f"{leg.direction} {reach_of(leg.ip)}" for leg in legs))


def _is_internet(event: Event) -> bool:
    detail = event.detail
    return (
        happened(event)
        and isinstance(detail, Network)
        and detail.type in (NetworkType.IPV4, NetworkType.IPV6)
    )


_NETWORK: dict[str, Field] = {
    **NETWORK,
    **fields_of(
        {
            "network.direction": of_network(lambda detail: detail.direction or None),
            "rubicon.flow.remote.ip": of_network(_remote),
            "rubicon.flow.remote.reach": _remote_reach,
        }
    ),
    **fields_of(
        {
            "rubicon.flow.relayed": _legs,
        },
        Kind.LIST,
    ),
    **fields_of(
        {
            "rubicon.flow.bytes_in": lambda facts: flow.bytes_in if (flow := facts[_flow]) else None,
            "rubicon.flow.bytes_out": lambda facts: flow.bytes_out if (flow := facts[_flow]) else None,
        },
        Kind.NUMBER,
    ),
}


# --- processes --------------------------------------------------------------------------------------------


_FORK: dict[str, Field] = fields_of(
    {
        "rubicon.fork.generation": of_detail(Fork, lambda detail: detail.generation),
        "rubicon.fork.alive": of_detail(Fork, lambda detail: detail.alive),
    },
    Kind.NUMBER,
)


_CPU: dict[str, Field] = {
    **fields_of(
        {
            "rubicon.cpu.percent": of_detail(Busy, lambda detail: detail.percent),
            "rubicon.cpu.threads": of_detail(Busy, lambda detail: detail.threads),
        },
        Kind.NUMBER,
    ),
    **fields_of({"rubicon.cpu.contact": of_detail(Busy, lambda detail: detail.contact or None)}),
}


# --- names that are asked for -----------------------------------------------------------------------------


def _asked(facts: Facts) -> str:
    detail = facts.event.detail
    return detail.more.name.lower() if isinstance(detail, Network) and isinstance(detail.more, Dns) else ""


def _entropy(text: str) -> float:
    """Shannon's, in bits a character: 2.5 to 3.2 for words, 3.5 to 5 for encoded data of some length."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


_QUESTION: dict[str, Field] = {
    **DNS,
    **fields_of({"dns.question.registered_domain": lambda facts: split_domain(facts[_asked])[0] or None}),
    **fields_of(
        {
            "rubicon.dns.subdomain_length": lambda facts: len(split_domain(facts[_asked])[1]),
            "rubicon.dns.entropy": lambda facts: _entropy(split_domain(facts[_asked])[1].replace(".", "")),
        },
        Kind.NUMBER,
    ),
}


_KEYWORDS = (*PROCESS_KEYWORDS, "TargetFilename", "SourceFilename")
_OWN = (
    LogSource(
        "file_access",
        (Action.FILE_READ, Action.FILE_WRITE, Action.FILE_LINK, Action.FILE_RENAME),
        _reads,
        PROCESS | _FILE,
        EVERYWHERE_ABSENT,
        _KEYWORDS,
    ),
    LogSource("file_delete", (Action.FILE_UNLINK,), happened, PROCESS | _FILE, EVERYWHERE_ABSENT, _KEYWORDS),
    LogSource("rubicon_file", _FILE_ACTIONS, happened, PROCESS | _FILE, EVERYWHERE_ABSENT, _KEYWORDS),
    LogSource(
        "rubicon_network",
        (Action.LISTEN, Action.ACCEPT, Action.FLOW),
        _is_internet,
        PROCESS | _NETWORK,
        EVERYWHERE_ABSENT,
        (*PROCESS_KEYWORDS, "DestinationIp", "DestinationHostname"),
    ),
    LogSource(
        "rubicon_process",
        (Action.FORK,),
        happened,
        PROCESS | _FORK,
        EVERYWHERE_ABSENT,
        PROCESS_KEYWORDS,
    ),
    LogSource(
        "rubicon_cpu",
        (Action.CPU,),
        happened,
        PROCESS | _CPU,
        EVERYWHERE_ABSENT,
        PROCESS_KEYWORDS,
    ),
)


def _with_more(source: LogSource, more: Mapping[str, Field]) -> LogSource:
    return replace(source, fields={**source.fields, **more})


LOG_SOURCES: Mapping[str, LogSource] = {
    **fields.LOG_SOURCES,
    "dns_query": _with_more(fields.LOG_SOURCES["dns_query"], _QUESTION),
    "file_event": _with_more(fields.LOG_SOURCES["file_event"], _FILE),
    **{source.category: source for source in _OWN},
}
