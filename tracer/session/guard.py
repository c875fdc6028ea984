"""A policy's lists of what is allowed -> the tables by which the kernel refuses the rest, or kills who tries.

Paths, of programs and of files, are one automaton. Of connections, what is allowed by address is there from
the start; what is allowed by name is added as it is learned where the name is: from the engine's own resolver
before the command starts, and from answers the sandbox gets; the kernel reads those, too, and is quicker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from tracer.actions.deny import Allowed, ports_value
from tracer.capture.guard import Guard, GuardMode
from tracer.errors import KernelError, UsageError
from tracer.events import Action, Dns, Event, Network, Response
from tracer.reach import parse_ip
from tracer.rules import RuleSet
from tracer.rules.automaton import path_table
from tracer.rules.endpoints import Endpoint, by_kind

RULE = "network.connect"
_KILLING = (Response.KILL, Response.KILL_SCOPE)


class Egress:
    """The table of one session: nothing is in the kernel's before `open`. May be asked from any thread."""

    def __init__(self, endpoints: Sequence[Endpoint], guard: Guard) -> None:
        """Raises UsageError when the kernel cannot hold what is allowed."""
        self._guard = guard
        self._endpoints = list(endpoints)
        self._known = by_kind(endpoints)
        self._lock = threading.Lock()
        try:
            self._allowed = Allowed(self._known.networks, self._known.taken)
            self._taken = Allowed(self._known.taken if self.has_names else ())
            self._ports = {
                number: ports_value(each.ports)
                for number, each in enumerate(endpoints, 1)
                if each.domain or each.parent
            }
        except ValueError as error:
            raise UsageError(f"network.connect: {error}") from None

    @property
    def has_names(self) -> bool:
        return bool(self._known.domains or self._known.parents)

    def open(self, mode: GuardMode) -> None:
        """From here on the kernel lets pass what is allowed, and nothing else. Raises KernelError."""
        with self._lock:
            for key, value in self._allowed.entries():
                self._guard.allow(key, value)
            if self.has_names:
                self._tell_domains()
            self._guard.open(mode, domains=self.has_names)

    def _tell_domains(self) -> None:
        """So that the kernel allows an address the moment that a resolver tells it."""
        for key, value in self._taken.entries():
            self._guard.take(key, value)
        entries: dict[tuple[str, bool], list[int]] = {}
        for number, ports in self._ports.items():
            each = self._endpoints[number - 1]
            self._guard.domain_ports(number, ports)
            name = (each.domain or each.parent).removeprefix(".")
            entries.setdefault((name, bool(each.parent)), []).append(number)
        for (name, below), numbers in entries.items():
            self._guard.allow_domain(name, numbers, below=below)

    def learn(self, record: Mapping[str, Any]) -> None:
        """A `name` context record."""
        if record.get("type") == "name":
            self._resolved(record["domain"], record["addresses"])

    def heard(self, event: Event) -> None:
        """An answer that the sandbox got; anything else says nothing."""
        detail = event.detail
        if event.action is not Action.DNS or not isinstance(detail, Network):
            return
        dns = detail.more
        if isinstance(dns, Dns):
            self._resolved(dns.name, dns.resolved)

    def refuse(self, address: str) -> None:
        """From now on nobody may go there, at any port, whatever else is allowed."""
        with self._lock:
            for key, value in self._allowed.take(address):
                self._guard.allow(key, value)
            if self.has_names:  # nor may the kernel let it through when a resolver tells it
                for key, value in Allowed([(ip_network(address), ())]).entries():
                    self._guard.take(key, value)

    def _resolved(self, domain: str, addresses: Iterable[str]) -> None:
        allowed = self._known.of_name(domain.lower().rstrip("."))
        with self._lock:
            for address in filter(None, map(parse_ip, addresses)) if allowed else ():
                for ports in allowed:
                    for key, value in self._allowed.add(str(address), ports):
                        self._guard.allow(key, value)


def guard_paths(rules: RuleSet, guard: Guard | None, notice: Callable[[str, str], object]) -> str:
    """Programs, and changes to files, that are not allowed are refused by the kernel, or who does it is
    killed, as the policy wants it. The engine is kept from those it watches, where that can be.

    Returns why nothing can be refused; "" when it can. Raises UsageError when something is to be refused and
    the policy is too much for the kernel's table.
    """
    if guard is None:
        return "these probes were loaded without what does it"
    why_not = _protected(guard)
    if rules.policy is None:
        return why_not
    wanted = {key: _response(rules, key) for key in ("process.exec", "files.write", "files.mounts")}
    refused = [key for key, response in wanted.items() if response is Response.DENY]
    killing = [key for key in ("process.exec", "files.write") if wanted[key] in _KILLING]
    if not (refused or killing):
        return why_not
    try:
        table = path_table(rules.policy)
    except ValueError as error:
        if refused:
            raise UsageError(f"{', '.join(refused)}: {error}") from None
        notice(
            "guard", f"who runs or changes what is not allowed is killed after the act, not at it: {error}"
        )
        return why_not
    guard.list_paths(table.classes, table.width, table.starts, table.cells.tobytes())
    guard.kill(programs="process.exec" in killing, writes="files.write" in killing)
    if refused and why_not:
        notice("guard", f"{' and '.join(refused)}: only reported, not refused: {why_not}")
    elif refused:
        guard.refuse(
            programs="process.exec" in refused,
            writes="files.write" in refused,
            mounts="files.mounts" in refused and not rules.policy.mounts,
        )
    return why_not


def _protected(guard: Guard) -> str:
    """Why it is not."""
    try:
        guard.protect()
    except KernelError as error:
        return str(error)
    return ""


def _response(rules: RuleSet, wanted: str) -> Response:
    return next((rule.response for rule in rules.rules if rule.id == wanted), Response.ALERT)


def guarded_egress(
    rules: RuleSet, guard: Guard | None, notice: Callable[[str, str], object]
) -> Egress | None:
    """The guard at work, when the policy wants connections refused, or who makes them killed.

    Whoever connects is killed by the kernel only where it can tell for certain: a name may lead to more
    addresses than are known yet. Where the kernel cannot do it, who is to be killed is killed later, as ever.
    Raises KernelError when connections are to be refused and cannot be, UsageError when the policy is too
    much for the kernel's table.
    """
    response = _response(rules, RULE)
    if response not in (Response.DENY, *_KILLING) or rules.policy is None:
        return None
    if guard is None:
        if response is Response.DENY:
            raise KernelError("connections cannot be refused: these probes were loaded without what does it")
        return None
    endpoints = [each for each in rules.policy.network.connect or () if not each.unix]
    egress = Egress(endpoints, guard)
    if response in _KILLING and egress.has_names:
        return None
    try:
        egress.open(GuardMode.KILL if response in _KILLING else GuardMode.DENY)
    except KernelError as error:
        if response is Response.DENY:
            raise
        notice("guard", f"who connects is killed after the act, not at it: {error}")
        return None
    return egress
