"""The details of an event as labelled values, one function a kind. The values are raw."""

from __future__ import annotations

import stat
from dataclasses import dataclass

from tracer.events import (
    Boundary,
    Busy,
    Credentials,
    Dns,
    Event,
    Exec,
    Exit,
    File,
    Flow,
    Network,
    Spoken,
    capability_names,
)
from tracer.text import address
from tui import describe


@dataclass(frozen=True, slots=True)
class Field:
    """`style` is one of the component classes of the pane, "" for plain."""

    label: str
    value: str
    style: str = ""


def detail_fields(event: Event) -> list[Field]:  # noqa: PLR0911  one for each kind
    """What the event says beside who and when. Those without a value have nothing to say."""
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
    if isinstance(detail, Busy):
        return _busy_fields(detail)
    return []


def _busy_fields(detail: Busy) -> list[Field]:
    return [
        Field("busy", f"{detail.threads} threads, {detail.percent} % of a processor"),
        *([Field("with", detail.contact)] if detail.contact else []),
    ]


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
    peer = address(network.destination_ip, network.destination_port)
    return [
        Field("to", network.path or peer, "strong"),
        Field("domain", network.destination_domain),
        Field("from", address(network.source_ip, network.source_port)),
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
