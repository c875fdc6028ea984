"""One plain sentence for what an event did: the `summary` of a violation.

The text of traced programs in it is shortened, and not escaped: `tracer.text` does that where it is shown.
"""

from __future__ import annotations

import errno

from tracer.events import (
    Action,
    Boundary,
    Busy,
    Dns,
    Event,
    Exec,
    File,
    Network,
    NetworkType,
    Outcome,
    Spoken,
)

REFUSALS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""The errors that say "you may not", where others say "it cannot be done"."""

_LONGEST = 200
_HEAD, _TAIL = 140, 59

# What was done, and what was tried; {} is the object.
_FILE_ACTS = {
    Action.FILE_RENAME: ("renamed {}", "rename {}"),
    Action.FILE_UNLINK: ("removed {}", "remove {}"),
    Action.FILE_LINK: ("linked {}", "link {}"),
    Action.FILE_SYMLINK: ("created the symlink {}", "create the symlink {}"),
    Action.FILE_MKDIR: ("created the directory {}", "create the directory {}"),
    Action.FILE_RMDIR: ("removed the directory {}", "remove the directory {}"),
    Action.FILE_TRUNCATE: ("truncated {}", "truncate {}"),
    Action.FILE_CHMOD: ("changed the mode of {}", "change the mode of {}"),
    Action.FILE_CHOWN: ("changed the owner of {}", "change the owner of {}"),
    Action.FILE_CLOSE: ("wrote {}", "write {}"),
}


def actor(event: Event) -> str:
    """Who did it, by the name of the executable: the name a process gives itself can be anything."""
    process = event.process
    name = process.executable.rpartition("/")[2] or process.name or "a process"
    return f"{shorten(name)} (pid {process.pid})"


def act(event: Event) -> str:
    """What was done, or with a failure what was tried, as the rest of a sentence that `actor` begins."""
    done, tried = _forms(event)
    text = f"tried to {tried}" if event.outcome is Outcome.FAILURE else done
    return text.format(_object(event))


def _forms(event: Event) -> tuple[str, str]:
    """What was done and what was tried, with {} for the object."""
    if event.action is Action.CPU or (is_standing(event) and event.action in _STANDING):
        return _STANDING[event.action], ""
    match event.detail:
        case Exec():
            return ("is running {}" if event.snapshot else "ran {}"), "run {}"
        case Network() as detail:
            return _network_forms(event, detail)
        case File() as detail:
            return _file_forms(event.action, detail)
        case Boundary() as detail:
            call = detail.call or event.action
            return f"called {call}: {{}}", f"call {call}: {{}}"
        case _:
            return f"did {event.action} {{}}", f"do {event.action} {{}}"


# What goes on, or was there when the watch began.
_STANDING = {
    Action.CPU: "keeps busy {}",
    Action.CONNECT: "is connected to {}",
    Action.ACCEPT: "has a connection from {}",
    Action.LISTEN: "listens on {}",
    Action.BIND: "has a socket bound to {}",
    Action.FILE_WRITE: "has {} open for writing",
}

_NETWORK_ACTS = {
    Action.BIND: ("bound a socket to {}", "bind a socket to {}"),
    Action.LISTEN: ("listened on {}", "listen on {}"),
    Action.ACCEPT: ("accepted a connection from {}", "accept a connection from {}"),
    Action.FLOW: ("closed its connection with {}", "close its connection with {}"),
}


def _network_forms(event: Event, network: Network) -> tuple[str, str]:
    if event.action is Action.CONNECT:
        pending = event.outcome is Outcome.UNKNOWN
        return ("began to connect to {}" if pending else "connected to {}"), "connect to {}"
    if event.action is Action.DNS:
        answered = isinstance(network.more, Dns) and network.more.is_answer
        return ("was told by {}" if answered else "asked {}"), "ask {}"
    if isinstance(network.more, Spoken) and network.more.protocol:
        return f"spoke {network.more.protocol} to {{}}", f"speak {network.more.protocol} to {{}}"
    return _NETWORK_ACTS.get(event.action, ("sent to {}", "send to {}"))


def _file_forms(action: Action, detail: File) -> tuple[str, str]:
    if action is Action.FILE_READ:
        return "opened {} for reading", "open {} for reading"
    if action is not Action.FILE_WRITE:
        return _FILE_ACTS.get(action, ("changed {}", "change {}"))
    if detail.inherited:
        return "wrote to {}, which was open before", "write to {}"
    created = ("created {}", "create {}")
    return created if detail.created else ("opened {} for writing", "open {} for writing")


def failure(event: Event) -> str:
    """How it ended, as the end of a sentence; "" when it succeeded, or the end is not known."""
    if event.outcome is not Outcome.FAILURE:
        return ""
    name = errno.errorcode.get(event.error, f"error {event.error}")
    return f"; it was refused with {name}" if event.error in REFUSALS else f"; it failed with {name}"


def is_standing(event: Event) -> bool:
    """A connection or a file that was open before anybody watched; a process that ran is no news."""
    return event.snapshot and isinstance(event.detail, Network | File)


def _standing(event: Event) -> str:
    return "; it was already open when the watch began" if is_standing(event) else ""


def by_policy(event: Event) -> str:
    return f"{actor(event)} {act(event)}, which the policy does not allow{failure(event)}{_standing(event)}"


def by_policy_of_mounts(event: Event) -> str:
    why = "a path may then lead to another file than it names"
    return f"{actor(event)} {act(event)}, which the policy does not allow: {why}{failure(event)}"


def by_detection(event: Event, phrase: str, title: str) -> str:
    """`phrase` is the rule's own verb and object, such as "opened a reverse tunnel"; "" when it has none."""
    if phrase:
        return f"{actor(event)} {phrase}: {_object(event)}{failure(event)}{_standing(event)}"
    return f'{actor(event)} {act(event)}, which matches "{title}"{failure(event)}{_standing(event)}'


def by_correlation(event: Event, phrase: str, title: str, what: str) -> str:
    """Of the last of several events; `what` is the condition in words, such as "20 times within 1 min"."""
    if phrase:
        return f"{actor(event)} {phrase} ({what}), the last: {_object(event)}{failure(event)}"
    return f'{actor(event)} {act(event)}, which completes "{title}" ({what}){failure(event)}'


def _object(event: Event) -> str:
    """To what it was done, shortened."""
    match event.detail:
        case Exec() as detail:
            return shorten(" ".join(detail.args) or detail.path or event.process.command_line)
        case Network() as detail:
            return shorten(_network_object(event, detail))
        case File() as detail:
            return _file_object(event, detail)
        case Boundary() as detail:
            return shorten(detail.words()) or detail.call or event.action
        case Busy() as detail:
            contact = f", connected with {detail.contact}" if detail.contact else ""
            return f"{detail.threads} threads, {detail.percent} % of a processor{contact}"
        case _:
            return shorten(event.process.command_line)


def _file_object(event: Event, detail: File) -> str:
    if event.action is Action.FILE_RENAME:
        return f"{shorten(detail.original_path)} to {shorten(detail.path)}"
    if event.action is Action.FILE_LINK:
        return f"{shorten(detail.original_path)} as {shorten(detail.path)}"
    if event.action is Action.FILE_SYMLINK:
        return f"{shorten(detail.path)} to {shorten(detail.target_path)}"
    if event.action is Action.FILE_CHMOD:
        return f"{shorten(detail.path)} to {detail.mode & 0o7777:04o}"
    return shorten(detail.path)


def _network_object(event: Event, network: Network) -> str:
    if event.action in (Action.BIND, Action.LISTEN):
        return own_end(network)
    other = own_end(network) if network.direction == "ingress" else peer(network)
    if isinstance(network.more, Dns):
        return f"{other} about {network.more.name} ({network.more.type})"
    if isinstance(network.more, Spoken) and (name := network.more.server_name or network.more.domain):
        return f"{other} for {name}"
    return other


def own_end(network: Network) -> str:
    """The source, as `peer` writes the destination."""
    if network.source_ip:
        return _address(network.source_ip, network.source_port)
    return peer(network)


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def peer(network: Network) -> str:
    """The other end: `192.0.2.1:22`, `[2001:db8::1]:22`, with a name before it, or a unix socket's path."""
    if network.type is NetworkType.UNIX:
        return network.path or "an unnamed unix socket"
    if network.family and network.type is not NetworkType.OTHER:
        return f"{network.family} {network.transport}{' ' if network.path else ''}{network.path}"
    if not network.destination_ip:
        return f"a socket of type {network.family or network.transport or 'unknown'}"
    address = _address(network.destination_ip, network.destination_port)
    return f"{network.destination_domain} ({address})" if network.destination_domain else address


def shorten(text: str) -> str:
    """`text` with its middle left out when it is long."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_HEAD]}…{text[-_TAIL:]}"
