"""A policy's lists of what is allowed -> the tables by which the kernel refuses the rest, or kills who tries.

Paths, of programs and of files, are one automaton. Of connections, what is allowed by address is there from
the start; what is allowed by name is added as it is learned where the name is: from the engine's own resolver
before the command starts, and from answers the sandbox gets; the kernel reads those, too, and is quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from tracer.actions.deny import Allowed, Ports, Subnet, ports_value
from tracer.capture.guard import Guard, GuardMode
from tracer.errors import KernelError, UsageError
from tracer.events import Action, Dns, Event, Network, Response
from tracer.reach import parse_ip
from tracer.rules import RuleSet
from tracer.rules.automaton import path_table
from tracer.rules.endpoints import Endpoint

RULE = "network.connect"
_KILLING = (Response.KILL, Response.KILL_SCOPE)


class Egress:
    """The table of one session. `learn` and `heard` may be called from any thread."""

    def __init__(self, endpoints: Sequence[Endpoint], guard: Guard) -> None:
        """Raises UsageError when the kernel cannot hold what is allowed."""
        self._guard = guard
        self._put = guard.allow
        self._by_name: dict[str, list[Ports]] = {}
        self._by_parent: list[tuple[str, Ports]] = []
        for each in endpoints:
            if each.domain:
                self._by_name.setdefault(each.domain, []).append(each.ports)
            if each.parent:
                self._by_parent.append((each.parent, each.ports))
        try:
            self._allowed = Allowed(*_addresses(endpoints))
            self._tell_domains(endpoints, guard)
        except ValueError as error:
            raise UsageError(f"network.connect: {error}") from None
        for key, value in self._allowed.entries():
            guard.allow(key, value)

    def _tell_domains(self, endpoints: Sequence[Endpoint], guard: Guard) -> None:
        """So that the kernel allows an address the moment that a resolver tells it."""
        _allowed, taken = _addresses(endpoints)
        if not self.has_names:
            return
        for key, value in Allowed(taken).entries():
            guard.take(key, value)
        entries: dict[tuple[str, bool], list[int]] = {}
        for number, each in enumerate(endpoints, 1):
            if name := each.domain or each.parent:
                guard.domain_ports(number, ports_value(each.ports))
                entries.setdefault((name.removeprefix("."), bool(each.parent)), []).append(number)
        for (name, below), numbers in entries.items():
            guard.allow_domain(name, numbers, below=below)

    @property
    def has_names(self) -> bool:
        return bool(self._by_name or self._by_parent)

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
        for key, value in self._allowed.take(address):
            self._put(key, value)
        if self.has_names:  # nor may the kernel let it through when a resolver tells it
            for key, value in Allowed([(ip_network(address), ())]).entries():
                self._guard.take(key, value)

    def _resolved(self, domain: str, addresses: Iterable[str]) -> None:
        name = domain.lower().rstrip(".")
        allowed = [*self._by_name.get(name, ())]
        allowed += [ports for parent, ports in self._by_parent if name.endswith(parent)]
        for text in addresses if allowed else ():
            if (address := parse_ip(text)) is None:
                continue
            for ports in allowed:
                for key, value in self._allowed.add(str(address), ports):
                    self._put(key, value)


def _addresses(
    endpoints: Sequence[Endpoint],
) -> tuple[list[tuple[Subnet, Ports]], list[tuple[Subnet, Ports]]]:
    """The networks that are allowed, and those taken away, with their ports."""
    allowed, taken = (
        [(net, each.ports) for each in endpoints if each.taken is side for net in each.networks]
        for side in (False, True)
    )
    return allowed, taken


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
        guard.open(GuardMode.KILL if response in _KILLING else GuardMode.DENY, domains=egress.has_names)
    except KernelError as error:
        if response is Response.DENY:
            raise
        notice("guard", f"who connects is killed after the act, not at it: {error}")
        return None
    return egress
