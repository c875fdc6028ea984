"""What the selected thing can be filtered by: terms of `tracer.where`, the likeliest first."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from tracer.events import Event, File, Network, Process, Violation
from tracer.where import quoted
from tui.snapshot import FileRow, Peer

Term = tuple[str, str]  # field, value as it is


def of_event(event: Event) -> tuple[Term, ...]:
    return tuple(_of_event(event))


def _of_event(event: Event) -> Iterator[Term]:
    detail = event.detail
    if isinstance(detail, Network):
        yield from _of_network(detail)
    elif isinstance(detail, File) and detail.path:
        yield "path", detail.path
        yield "path", f"{os.path.dirname(detail.path).rstrip('/')}/*"
    yield "action", event.action.value
    yield from of_process(event.process)
    yield "category", event.category.value
    if event.error:
        yield "error", errno.errorcode.get(event.error, str(event.error))
    if event.container and event.container.name:
        yield "container", event.container.name


def _of_network(network: Network) -> Iterator[Term]:
    if network.destination_domain:
        yield "domain", network.destination_domain
    if network.destination_ip:
        yield "ip", network.destination_ip
        yield "port", str(network.destination_port)
    elif network.path:
        yield "socket", network.path


def of_process(process: Process) -> tuple[Term, ...]:
    found = (
        ("name", process.name),
        ("pid", str(process.pid)),
        ("exe", process.executable),
        ("parent", process.parent.name if process.parent else ""),
        ("user", process.user_name),
    )
    return tuple((name, value) for name, value in found if value)


def of_violation(violation: Violation) -> tuple[Term, ...]:
    rule = violation.rule
    techniques = tuple(("technique", each) for each in rule.techniques)
    return (("rule", rule.name), ("level", rule.level.value), *techniques, *of_event(violation.event))


def of_peer(peer: Peer) -> tuple[Term, ...]:
    if peer.transport == "unix":
        return (("socket", peer.name),)
    if peer.incoming:
        return (("src.ip", peer.ip), ("port", str(peer.port)))
    name = ("ip", peer.ip) if peer.name == peer.ip else ("domain", peer.name)
    return (name, ("ip", peer.ip), ("port", str(peer.port)), *(("name", each) for each in peer.processes))


def of_file(row: FileRow) -> tuple[Term, ...]:
    path = f"{row.path.rstrip('/')}/*" if row.is_folder else row.path
    return (("path", path), *(("name", each) for each in row.writers))


def written(term: Term) -> str:
    """As one types it; the `*` at the end of a folder stands for anything."""
    field, value = term
    if field == "path" and value.endswith("/*"):
        folder = value[:-1]
        return f"{field}:{folder}*" if quoted(folder) == folder else f"{field}~{quoted(folder)}"
    return f"{field}:{quoted(value)}"


def added(text: str, term: Term, *, exclude: bool) -> str:
    """The filter `text` with one more condition."""
    condition = f"not {written(term)}" if exclude else written(term)
    text = text.strip()
    if not text:
        return condition
    whole = f"({text})" if " or " in f" {text.lower()} " else text
    return f"{whole} {condition}"
