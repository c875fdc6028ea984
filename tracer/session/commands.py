"""What a person may ask of a live session by its control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tracer.capture.guard import Guard, GuardMode
from tracer.control import Command, Peer, Reply
from tracer.errors import KernelError, RubiconError, UsageError
from tracer.events import Response, Result, Taken
from tracer.reach import parse_ip
from tracer.rules import Given
from tracer.rules.amend import amend
from tracer.rules.endpoints import parse_endpoint
from tracer.session.enforce import Enforcer
from tracer.session.guard import Egress
from tracer.text import printable


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OnScope(_Arguments):
    """The target as it was named, or the number of a scope; "" is all that is watched."""

    scope: str = ""


class OneProcess(_Arguments):
    """`start_ns` is since boot, as in the records: a pid alone may be another's by now."""

    pid: int = Field(gt=0)
    start_ns: int


class OneAddress(_Arguments):
    ip: str


class OneEntry(_Arguments):
    """`place` is a list of the policy, as "network.connect"; without `write` only the difference is told."""

    place: str
    entry: str
    write: bool = False


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The policy of a session as a file that may be changed, and the variables it was read with."""

    path: Path
    given: Given


class Commands:
    """`watches` says whether a process is of this session. The commands run on the thread of the socket."""

    def __init__(
        self,
        enforcer: Enforcer,
        watches: Callable[[int], bool],
        guard: Guard | None,
        egress: Egress | None,
        policy: PolicyFile | None,
    ) -> None:
        self._enforcer = enforcer
        self._watches = watches
        self._guard = guard
        self._egress = egress
        self._policy = policy

    def table(self) -> dict[str, Command]:
        scopes = (Response.FREEZE, Response.THAW, Response.KILL)
        return {
            **{each.value: Command(self._on_scope(each), OnScope) for each in scopes},
            "kill_process": Command(self._kill_process, OneProcess),
            "deny": Command(self._deny, OneAddress),
            "allow": Command(self._allow, OneEntry),
        }

    def _on_scope(self, response: Response) -> Callable[[OnScope, Peer], Reply]:
        return lambda asked, peer: _reply(self._enforcer.command(response, str(peer), asked.scope))

    def _kill_process(self, asked: OneProcess, peer: Peer) -> Reply:
        if not self._watches(asked.pid):
            return Reply(ok=False, message=f"no process {asked.pid} is watched by this session")
        return _reply(self._enforcer.kill_process(asked.pid, asked.start_ns, str(peer)))

    def _deny(self, asked: OneAddress, peer: Peer) -> Reply:
        """The address at every port, for what is not connected yet."""
        address = parse_ip(asked.ip)
        if address is None:
            return Reply(ok=False, message=f"{printable(asked.ip)} is no address")
        try:
            self._egress = self._egress or self._opened()
            self._egress.refuse(str(address))
        except RubiconError as error:
            return Reply(ok=False, message=str(error))
        message = f"new connections to {address} are refused from now on"
        return _reply(self._enforcer.note(Response.DENY, message, str(peer)))

    def _opened(self) -> Egress:
        """A guard that lets everything pass, until an address is taken away."""
        if self._guard is None:
            raise KernelError("connections cannot be refused in a session that began without --enforce")
        egress = Egress([parse_endpoint("*")], self._guard)
        egress.open(GuardMode.DENY)
        return egress

    def _allow(self, asked: OneEntry, peer: Peer) -> Reply:
        if self._policy is None:
            message = "there is no policy file to add to: give one with --policy (it may extend a profile)"
            return Reply(ok=False, message=message)
        try:
            amendment = amend(self._policy.path, asked.place, asked.entry, self._policy.given)
            if asked.write:
                amendment.write()
        except UsageError as error:
            return Reply(ok=False, message=str(error))
        except OSError as error:
            path = printable(str(self._policy.path))
            return Reply(ok=False, message=f"cannot write {path}: {error.strerror}")
        data = {"path": str(amendment.path), "diff": list(amendment.diff)}
        if not asked.write:
            return Reply(ok=True, data=data)
        message = f"added {asked.entry} to {asked.place} in {amendment.path}"
        return _reply(self._enforcer.note(Response.ALERT, message, str(peer)), data)


def _reply(taken: Taken, data: Mapping[str, object] | None = None) -> Reply:
    return Reply(ok=taken.result is Result.DONE, message=taken.message, data=dict(data or {}))
