"""From a policy to the kernel's tables: what is put in, when a name is learned, and who is asked at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.rules.made import connected, event, rules_of
from tracer.capture.guard import GuardMode
from tracer.errors import KernelError, UsageError
from tracer.events import Action, Answer, Dns, Event, Network, NetworkType
from tracer.session.guard import Egress, guard_paths, guarded_egress


class FakeGuard:
    """Stands in for `tracer.capture.guard.Guard`."""

    def __init__(self, error: KernelError | None = None) -> None:
        self.table: dict[bytes, bytes] = {}
        self.taken: dict[bytes, bytes] = {}
        self.domains: dict[tuple[str, bool], list[int]] = {}
        self.ports: dict[int, bytes] = {}
        self.answers = False
        self.mode: GuardMode | None = None
        self.listed: tuple[bytes, int, tuple[int, ...], bytes] | None = None
        self.killing = {"programs": False, "writes": False}
        self.refused: dict[str, bool] = {}
        self._error = error

    def allow(self, key: bytes, value: bytes) -> None:
        self.table[key] = value

    def open(self, mode: GuardMode, *, domains: bool = False) -> None:
        if self._error:
            raise self._error
        self.mode, self.answers = mode, domains

    def take(self, key: bytes, value: bytes) -> None:
        self.taken[key] = value

    def allow_domain(self, name: str, entries: list[int], *, below: bool) -> None:
        self.domains[name, below] = entries

    def domain_ports(self, entry: int, value: bytes) -> None:
        self.ports[entry] = value

    def list_paths(self, classes: bytes, width: int, starts: tuple[int, ...], cells: bytes) -> None:
        self.listed = classes, width, starts, cells

    def kill(self, **wanted: bool) -> None:
        self.killing = wanted

    def protect(self) -> None:
        if self._error:
            raise self._error

    def refuse(self, **wanted: bool) -> None:
        self.protect()
        self.refused = wanted


def opened(
    folder: Path, connect: str, response: str = "deny", guard: FakeGuard | None = None
) -> tuple[FakeGuard, Egress | None, list[str]]:
    guard, said = guard or FakeGuard(), list[str]()
    rules = rules_of(folder, f"network: {{on_violation: {response}, connect: {connect}}}\n")
    egress = guarded_egress(rules, guard, lambda _code, text: said.append(text))  # type: ignore[arg-type]
    return guard, egress, said


def key(address: str) -> bytes:
    """Of an IPv4 address as a whole."""
    return bytes([40, 0, 0, 0, 4, *map(int, address.split(".")), *bytes(15)])


def answer(name: str, *addresses: str, counts: bool = True) -> Event:
    answers = tuple(Answer(name, "A", "IN", 60, each) for each in addresses)
    dns = Dns(1, True, name, "A", "IN", answers, "NOERROR", addresses if counts else ())
    detail = Network(NetworkType.IPV4, "udp", "192.0.2.53", 53, "", 0, "", "", more=dns)
    return event(Action.DNS, detail)


def test_what_is_allowed_by_address_is_there_from_the_start(tmp_path: Path) -> None:
    guard, egress, said = opened(tmp_path, '["10.0.0.9:443", "unix:/run/**"]')
    assert (guard.mode, list(guard.table), said) == (GuardMode.DENY, [key("10.0.0.9")], [])
    assert egress
    assert not egress.has_names


def test_a_name_is_allowed_where_it_is_learned_to_be(tmp_path: Path) -> None:
    guard, egress, _ = opened(tmp_path, '["pypi.org:443", "*.example.org"]')
    assert egress
    assert guard.table == {}
    egress.learn({"type": "name", "domain": "pypi.org", "addresses": ["10.0.0.1", "no address"]})
    egress.learn({"type": "process"})
    egress.heard(answer("A.Example.org", "10.0.0.2"))
    egress.heard(answer("example.org", "10.0.0.3"))
    egress.heard(answer("other.net", "10.0.0.4"))
    egress.heard(answer("b.example.org", "10.0.0.5", counts=False))
    egress.heard(connected("10.0.0.6", 443))
    assert set(guard.table) == {key("10.0.0.1"), key("10.0.0.2")}
    assert guard.table[key("10.0.0.1")][:8] == bytes([1, 0, 0, 0, 443 & 255, 443 >> 8, 443 & 255, 443 >> 8])
    assert guard.table[key("10.0.0.2")][:4] == bytes(4)  # any port


def test_domains_are_told_to_the_kernel(tmp_path: Path) -> None:
    """With their ports, and what they cannot make allowed; not where nothing is allowed by name."""
    connect = '["pypi.org:443", "10.0.0.0/8", "*.example.org", "pypi.org:80,8080", "!10.1.0.0/16"]'
    guard, _, _ = opened(tmp_path, connect)
    assert guard.domains == {("pypi.org", False): [1, 4], ("example.org", True): [3]}
    assert {entry: value[:4] for entry, value in guard.ports.items()} == {
        1: bytes([1, 0, 0, 0]),
        3: bytes(4),
        4: bytes([2, 0, 0, 0]),
    }
    assert (len(guard.taken), guard.answers) == (1, True)
    guard, _, _ = opened(tmp_path, "[10.0.0.0/8]")
    assert (guard.domains, guard.taken, guard.answers) == ({}, {}, False)


@pytest.mark.parametrize(("response", "mode"), [("alert", None), ("freeze", None), ("kill", GuardMode.KILL)])
def test_only_what_is_to_be_refused(tmp_path: Path, response: str, mode: GuardMode | None) -> None:
    guard, egress, _ = opened(tmp_path, "[10.0.0.0/8]", response)
    assert (guard.mode, egress is None) == (mode, mode is None)


def test_nobody_is_killed_by_the_kernel_for_a_name_that_may_lead_elsewhere(tmp_path: Path) -> None:
    guard, egress, _ = opened(tmp_path, '["pypi.org:443", "10.0.0.0/8"]', "kill")
    assert (guard.mode, egress) == (None, None)
    assert (guard.table, guard.taken, guard.domains) == ({}, {}, {})


def test_where_the_kernel_cannot(tmp_path: Path) -> None:
    """Who is to be refused is not started; who is to be killed is killed later."""
    error = KernelError("no hierarchy")
    with pytest.raises(KernelError, match="no hierarchy"):
        opened(tmp_path, "[]", guard=FakeGuard(error))
    guard, egress, said = opened(tmp_path, "[]", "kill", FakeGuard(error))
    assert (guard.mode, egress) == (None, None)
    assert said == ["who connects is killed after the act, not at it: no hierarchy"]
    rules = rules_of(tmp_path, "network: {on_violation: deny, connect: []}\n")
    with pytest.raises(KernelError, match="without what does it"):
        guarded_egress(rules, None, lambda *_: None)


def test_more_ports_than_the_table_holds(tmp_path: Path) -> None:
    ports = ",".join(str(port) for port in range(1, 40, 2))
    with pytest.raises(UsageError, match=r"network.connect: 10.0.0.0/8 has 20 ranges of ports"):
        opened(tmp_path, f'["10.0.0.0/8:{ports}"]')


@pytest.mark.parametrize(
    ("policy", "programs", "writes"),
    [
        ("process: {on_violation: kill, exec: [git, sh]}\n", True, False),
        ("process: {on_violation: kill-scope, exec: ['/**']}\n", True, False),
        ("process: {on_violation: freeze, exec: [git]}\n", False, False),
        ("on_violation: kill\nfiles: {write: []}\n", False, True),
        ("on_violation: kill\nfiles: {on_violation: alert, write: []}\nprocess: {exec: []}\n", True, False),
    ],
)
def test_paths(tmp_path: Path, policy: str, programs: bool, writes: bool) -> None:
    guard: Any = FakeGuard()
    said: list[str] = []
    rules = rules_of(tmp_path, policy)
    assert guard_paths(rules, guard, lambda _code, text: said.append(text)) == ""
    assert (guard.killing, guard.refused, said) == ({"programs": programs, "writes": writes}, {}, [])
    wanted = programs or writes
    assert (guard.listed is not None) == wanted
    if wanted:
        classes, width, starts, cells = guard.listed
        assert (len(classes), len(starts), len(cells) % width) == (256, 2, 0)


def test_paths_without_what_refuses(tmp_path: Path) -> None:
    said: list[str] = []
    rules = rules_of(tmp_path, "process: {on_violation: kill, exec: [git]}\n")
    why_not = guard_paths(rules, None, lambda _code, text: said.append(text))
    assert (why_not, said) == ("these probes were loaded without what does it", [])


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("process: {on_violation: deny, exec: []}\n", (True, False, False)),
        ("files: {on_violation: deny, write: []}\n", (False, True, True)),
        ("files: {on_violation: deny, write: [], mounts: [bwrap]}\n", (False, True, False)),
        ("on_violation: deny\nfiles: {write: []}\nprocess: {exec: []}\n", (True, True, True)),
        ("network: {on_violation: deny, connect: []}\n", ()),
    ],
)
def test_what_is_refused_by_path(tmp_path: Path, policy: str, wanted: tuple[bool, ...]) -> None:
    guard: Any = FakeGuard()
    said: list[str] = []
    why_not = guard_paths(rules_of(tmp_path, policy), guard, lambda _code, text: said.append(text))
    assert (tuple(guard.refused.values()), why_not, said) == (wanted, "", [])
    assert (guard.listed is None) == (not wanted)


def test_where_the_kernel_asks_no_programs(tmp_path: Path) -> None:
    """It is said in one line; what is to be killed is killed all the same."""
    guard: Any = FakeGuard(KernelError("no hooks here"))
    said: list[str] = []
    policy = "files: {on_violation: deny, write: []}\nprocess: {on_violation: kill, exec: []}\n"
    assert guard_paths(rules_of(tmp_path, policy), guard, lambda _code, text: said.append(text)) == (
        "no hooks here"
    )
    assert said == ["files.write and files.mounts: only reported, not refused: no hooks here"]
    assert (guard.refused, guard.killing["programs"]) == ({}, True)


def test_too_much_for_the_table_to_refuse(tmp_path: Path) -> None:
    policy = "process: {on_violation: deny, exec: ['/*a????????????????????']}\n"
    guard: Any = FakeGuard()
    with pytest.raises(UsageError, match=r"process\.exec: the patterns are more"):
        guard_paths(rules_of(tmp_path, policy), guard, lambda *_: None)


def test_programs_that_are_too_much_for_the_table_are_killed_later(tmp_path: Path) -> None:
    guard: Any = FakeGuard()
    said: list[str] = []
    policy = "process: {on_violation: kill, exec: ['/*a????????????????????']}\n"
    guard_paths(rules_of(tmp_path, policy), guard, lambda _code, text: said.append(text))
    assert guard.killing["programs"] is False
    assert "more than the kernel's table" in said[0]
