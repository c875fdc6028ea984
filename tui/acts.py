"""What can be done to what is watched: who does it, and what is said before.

A live session is asked by its control socket (`tracer.control`), and what it does is in its trace. Nothing
here needs a privilege but to be let in there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracer.control import Reply, ask
from tracer.errors import RubiconError
from tracer.events import Network, Process
from tui.screens.menus import Question
from tui.snapshot import Peer, State, Summary

if TYPE_CHECKING:
    from tracer.rules.entries import PolicyEntry

Ask = Callable[..., Reply]


@dataclass(frozen=True, slots=True)
class Act:
    """A command for the session, and the question that comes before. All words are raw."""

    question: Question
    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Session:
    """The live session that writes `trace`, as far as it can be asked. May be used from any thread."""

    def __init__(self, trace: Path, asked: Ask = ask) -> None:
        self._trace = trace
        self._ask = asked

    def do(self, command: str, arguments: Mapping[str, Any]) -> Reply:
        """A session that cannot be reached says so as if it had refused."""
        try:
            return self._ask(self._trace, command, **arguments)
        except RubiconError as error:
            return Reply(ok=False, message=str(error))


def objection(summary: Summary, trace: Path | None) -> str:
    """Why nothing can be done to this session; "" when it can."""
    if trace is None or summary.state in (State.FINISHED, State.CUT, State.DAMAGED):
        return "the session has ended" if summary.replay is None else "this is a replay"
    if summary.replay is not None:
        return "this is a replay"
    return ""


def freeze() -> Act:
    words = (
        "All processes that are watched are held still, as they are: nothing more happens in the sandbox "
        "until somebody thaws it (T)."
    )
    return Act(Question("freeze", words, "freeze all that is watched"), "freeze")


def thaw() -> Act:
    words = "What was frozen goes on where it stood."
    return Act(Question("thaw", words, "let it go on"), "thaw")


def kill_all() -> Act:
    words = "Every process that is watched is killed (SIGKILL). What they had not saved is lost."
    return Act(Question("kill all", words, "kill all that is watched"), "kill")


def kill_process(process: Process, children: int) -> Act:
    words = f"{process.name}[{process.pid}] is killed (SIGKILL):\n\n    {process.command_line}\n"
    if children:
        words += f"\nIts {children} children live on."
    arguments = {"pid": process.pid, "start_ns": process.start_ns}
    return Act(Question("kill", words, f"kill {process.name}[{process.pid}]"), "kill_process", arguments)


def deny(ip: str, name: str) -> Act:
    known_as = f" ({name})" if name not in ("", ip) else ""
    words = (
        f"From now on the kernel refuses every new connection and datagram of the sandbox to {ip}{known_as}, "
        "at any port, until the session ends. What is connected already stays connected."
    )
    return Act(Question("deny", words, f"refuse {ip}"), "deny", {"ip": ip})


def allow(entry: PolicyEntry, path: str, diff: Sequence[str]) -> Act:
    words = f"{entry.entry} is added to {entry.place} in {path}:"
    arguments = {"place": entry.place, "entry": entry.entry, "write": True}
    return Act(Question("add to policy", words, "write it", diff), "allow", arguments)


def peer_of(thing: object) -> tuple[str, str]:
    """Address and name of the other end that a violation, an event or a peer speaks of; "" without one."""
    if isinstance(thing, Peer):
        return ("", "") if thing.transport == "unix" else (thing.ip, thing.name)
    detail = getattr(thing, "detail", None)
    if isinstance(detail, Network) and detail.direction != "ingress" and detail.destination_ip:
        return detail.destination_ip, detail.destination_domain
    return "", ""
