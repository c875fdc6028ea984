"""What is found out about a kernel, from a made-up one; and from this one, whatever privileges there are."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tracer.capture import Source, core, doctor, trials
from tracer.capture.core import INNER_PROGRAMS, UNSEEN, UNSEEN_FROM_OUTSIDE, best_tier, check_floor
from tracer.capture.doctor import NOT_ALLOWED, examine, kernel_facts
from tracer.capture.guard import HOOKS, choose_hooks
from tracer.capture.preflight import BTF_VARIABLE
from tracer.capture.trials import Answer
from tracer.errors import KernelError


@pytest.mark.parametrize("level", ["none", "integrity", "confidentiality"])
def test_lockdown_as_the_kernel_says_it(tmp_path: Path, level: str) -> None:
    file = tmp_path / "sys/kernel/security/lockdown"
    file.parent.mkdir(parents=True)
    file.write_text("none integrity confidentiality\n".replace(level, f"[{level}]"))
    assert kernel_facts({}, tmp_path).lockdown == level


@pytest.mark.parametrize("level", ["integrity", "confidentiality"])
def test_lockdown_that_is_built_in(tmp_path: Path, level: str) -> None:
    (tmp_path / "proc").mkdir()
    config = f"# x\nCONFIG_LOCK_DOWN_KERNEL_FORCE_{level.upper()}=y\n"
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(config.encode()))
    assert kernel_facts({}, tmp_path).lockdown == level


def test_lockdown_that_nothing_tells(tmp_path: Path) -> None:
    assert kernel_facts({}, tmp_path).lockdown == ""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(b"no gzip")
    assert kernel_facts({}, tmp_path).lockdown == ""


def test_kprobes(tmp_path: Path) -> None:
    _io_uring, kprobes = kernel_facts({}, tmp_path).mechanisms
    assert (kprobes.name, kprobes.yes) == ("kprobes", False)
    (tmp_path / "sys/bus/event_source/devices/kprobe").mkdir(parents=True)
    assert kernel_facts({}, tmp_path).mechanisms[1].yes


@pytest.mark.parametrize(
    ("capabilities", "names", "missing"),
    [
        (1 << 21, ("CAP_SYS_ADMIN",), ""),
        (1 << 39, ("CAP_BPF",), "CAP_PERFMON missing"),
        (0, (), "CAP_PERFMON and CAP_BPF missing"),
    ],
)
def test_privileges(
    capabilities: int, names: tuple[str, ...], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "effective_capabilities", lambda: capabilities)
    facts = kernel_facts({})
    assert facts.capabilities == names
    assert facts.missing.startswith(missing)
    assert bool(facts.remedy) is bool(missing)


@pytest.mark.parametrize(
    ("program", "own_namespace", "remedy"),
    [
        ("/usr/bin/sudo", False, "sudo rubicon ..."),
        (None, False, "su -c 'rubicon ...'"),
        (None, True, "outside this user namespace: su -c 'rubicon ...'"),
    ],
)
def test_the_remedy_is_a_command_that_is_there(
    program: str | None, own_namespace: bool, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "effective_capabilities", lambda: 0)
    monkeypatch.setattr(doctor, "in_user_namespace", lambda: own_namespace)
    monkeypatch.setattr(doctor.shutil, "which", lambda _: program)
    assert kernel_facts({}).remedy == remedy


def test_no_type_information(tmp_path: Path) -> None:
    facts = kernel_facts({BTF_VARIABLE: str(tmp_path / "none")})
    assert (facts.btf, facts.btf_bytes) == ("", 0)


class Loaded:
    """A source, as far as it is asked."""

    loader, tier, unseen = "core", "B", tuple(UNSEEN)
    guard: Any = None
    closed = False

    def close(self) -> None:
        self.closed = True


def opening(source: Loaded) -> Callable[[str, Mapping[str, str]], Source]:
    return lambda *_: source  # type: ignore[return-value]


def named(path: Path, *names: str) -> dict[str, str]:
    """An environment with type information that has these names in it."""
    path.write_bytes(b"\0" + b"".join(name.encode() + b"\0" for name in names))
    return {BTF_VARIABLE: str(path)}


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "effective_capabilities", lambda: 0)


def test_hooks_are_held_against_the_kernels_names(tmp_path: Path, unprivileged: None) -> None:
    source = Loaded()
    found = examine(
        named(tmp_path / "btf", "btf_trace_sys_enter", "btf_trace_sched_process_forks"), opening(source)
    )
    hooks = {each.hook: each for each in found.hooks}
    assert hooks["tp_btf/sys_enter"].yes
    assert (hooks["tp_btf/sched_process_fork"].yes, hooks["iter/task"].yes) == (False, False)
    assert hooks["raw_tp/sweep"].yes
    assert (found.loads, found.problem, found.loader, found.tier) == (True, "", "core", "B")
    assert source.closed


def test_a_place_is_no_use_where_such_programs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = (Answer("fentry", False, "refused"), Answer("fexit", True), Answer("lsm", False))
    monkeypatch.setattr(doctor, "_programs", lambda _: answers)
    environment = named(tmp_path / "btf", "security_path_rename", "do_filp_open")
    hooks = {each.hook: (each.yes, each.why) for each in examine(environment, opening(Loaded())).hooks}
    assert hooks["fentry/security_path_rename"] == (False, "refused")
    assert hooks["fentry/security_path_unlink"] == (False, "this kernel has no such place")
    assert hooks["fexit/do_filp_open"] == (True, "")


def test_a_kernel_that_is_too_old_is_told_which_one_is_needed() -> None:
    check_floor(b"\0BPF_FUNC_loop\0")
    with pytest.raises(KernelError, match=r"too old for the probes: they need Linux 5\.17"):
        check_floor(b"\0BPF_FUNC_for_each_map_elem\0")


def test_the_tier_is_what_the_kernel_has_and_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = b"\0" + b"\0".join(each.encode() for each in INNER_PROGRAMS.values()) + b"\0"
    for takes, names, tier in (
        (True, functions, "A"),
        (False, functions, "B"),
        (True, functions.replace(b"\0security_path_link\0", b"\0"), "B"),
        (True, b"", "B"),
    ):
        monkeypatch.setattr(core, "try_inner", lambda takes=takes: Answer("fexit", takes))
        assert best_tier(names) == tier


def test_without_names_hooks_are_not_known(tmp_path: Path, unprivileged: None) -> None:
    found = examine({BTF_VARIABLE: str(tmp_path / "none")}, opening(Loaded()))
    assert {each.yes for each in found.hooks if not each.hook.startswith("raw_tp/")} == {None}


def test_probes_that_cannot_be_loaded(tmp_path: Path, unprivileged: None) -> None:
    def refuse(_loader: str, _: Mapping[str, str]) -> Source:
        raise KernelError("the kernel refused the probes")

    found = examine(named(tmp_path / "btf"), refuse)
    assert (found.loads, found.problem) == (False, "the kernel refused the probes")
    assert (found.loader, found.tier) == ("", "")
    assert [each.route for each in found.unseen] == list(UNSEEN)


def test_kinds_of_programs_are_not_tried_without_privileges(tmp_path: Path, unprivileged: None) -> None:
    found = examine(named(tmp_path / "btf"), opening(Loaded()))
    assert {(each.yes, each.why) for each in found.programs} == {(None, NOT_ALLOWED)}


class Protecting:
    """A guard that can do it, or says why not."""

    def __init__(self, why_not: str) -> None:
        self.why_not = why_not

    def protect(self) -> None:
        if self.why_not:
            raise KernelError(self.why_not)


@pytest.mark.parametrize(
    ("lsm", "why_not", "yes", "why"),
    [
        (Answer("lsm", True), "", True, ""),
        (Answer("lsm", True), "no hooks", False, "no hooks"),
        (Answer("lsm", False, "not built in"), "", False, "not built in"),
        (Answer("lsm", None, "not looked at"), "", None, "not looked at"),
    ],
)
def test_what_can_be_refused(  # noqa: PLR0917  a case, and what pytest gives
    lsm: Answer, why_not: str, yes: bool | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_programs", lambda _: (Answer("fentry", True), lsm))
    guarding = Loaded()
    guarding.guard = Protecting(why_not)
    found = examine(named(tmp_path / "btf"), opening(Loaded()), opening(guarding))
    assert (found.refusals.yes, found.refusals.why) == (yes, why)
    assert guarding.closed is (lsm.yes is True)


def has(*names: str) -> Callable[[str], bool]:
    return lambda name: name in names


def test_hooks_that_refuse() -> None:
    every = [f"bpf_lsm_{hook}" for hook in HOOKS.values()]
    assert choose_hooks(has(*every), lambda: "") == (list(HOOKS), "")
    without = [each for each in every if each != "bpf_lsm_file_truncate"]  # before v6.2
    assert choose_hooks(has(*without), lambda: "")[0] == [
        each for each in HOOKS if each != "refuse_ftruncate"
    ]
    for names, said, why in (
        ([], "", "CONFIG_BPF_LSM"),
        (["bpf_lsm_file_open"], "", "CONFIG_SECURITY_PATH"),
        (every, "Operation not permitted", "Operation not permitted"),
        ([each for each in every if each != "bpf_lsm_move_mount"], "", "no hook move_mount"),
    ):
        hooks, why_not = choose_hooks(has(*names), lambda said=said: said)
        assert (hooks, why in why_not) == ([], True)


def test_every_route_says_what_would_open_it() -> None:
    assert all((UNSEEN | UNSEEN_FROM_OUTSIDE).values())


@pytest.mark.parametrize(
    ("code", "said", "means"),
    [
        (errno.EPERM, "load: Operation not permitted", "refuses it"),
        (524, "attach: Unknown error 524", "cannot do it"),
        (errno.EMFILE, "load: Too many open files", ""),
    ],
)
def test_what_a_refused_program_means(code: int, said: str, means: str) -> None:
    def refuse(_type: int, _attach: int, _function: str) -> None:
        raise OSError(code, said)

    answers = trials.try_programs(refuse)
    assert [each.name for each in answers] == ["fentry", "fexit", "fmod_ret", "lsm"]
    assert {each.yes for each in answers} == {False}
    assert all(each.why.startswith(said) and means in each.why for each in answers)


def test_programs_that_are_taken() -> None:
    assert {each.yes for each in trials.try_programs(lambda *_: None)} == {True}


@pytest.mark.parametrize(
    ("status", "int80", "x32"),
    [(0, (True, ""), (True, "")), (errno.ENOSYS, (False, "refused"), (False, "this kernel has none"))],
)
def test_calls(
    status: int, int80: tuple[bool, str], x32: tuple[bool, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_status_of", lambda _: status)
    found = trials.try_calls("x86_64")
    for answer, (yes, why) in zip(found, (int80, x32), strict=True):
        assert answer.yes is yes
        assert answer.why.startswith(why)


def test_a_call_that_ends_in_a_signal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_status_of", lambda _: -11)
    assert [each.yes for each in trials.try_calls("x86_64")] == [False, False]


def test_other_machines_have_no_other_tables() -> None:
    assert trials.try_calls("aarch64") == ()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="this machine has one table of calls")
def test_calls_are_tried_for_real() -> None:
    assert {each.yes for each in trials.try_calls("x86_64")} <= {True, False}


def test_a_try_that_does_not_end_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_SECONDS_MAX", 0.1)
    assert trials._status_of("import time; time.sleep(60)") is None
    monkeypatch.setattr(trials, "_status_of", lambda _: None)
    assert {(each.yes, each.why) for each in trials.try_calls("x86_64")} == {
        (None, "no answer within 30 seconds")
    }
