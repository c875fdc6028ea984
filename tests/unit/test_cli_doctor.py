"""`rubicon doctor`: made-up facts as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tracer.capture.doctor import Examination, Hook, KernelFacts, Unseen
from tracer.capture.trials import Answer
from tracer.cli import doctor, main
from tracer.targets.machine import Cgroups, Runtime

KERNEL = KernelFacts(
    release="6.1.0-56-amd64",
    machine="x86_64",
    btf="/sys/kernel/btf/vmlinux",
    btf_bytes=5_516_713,
    headers="",
    libbpf="1.1",
    capabilities=("CAP_SYS_ADMIN", "CAP_BPF"),
    missing="",
    remedy="",
    lockdown="integrity",
    mechanisms=(Answer("io_uring", True), Answer("kprobes", False, "this kernel is built without them")),
)
FOUND = Examination(
    kernel=KERNEL,
    loads=True,
    problem="",
    loaders=(Answer("core", True), Answer("bcc", False, "BCC is missing: apt-get install python3-bpfcc")),
    loader="core",
    tier="B",
    offsets="BTF",
    hooks=(Hook("on_fork", "tp_btf/sched_process_fork", True), Hook("x", "tp_btf/x", False, "no such place")),
    programs=(Answer("fentry", None, "not looked at: " + "needs the privileges to load probes " * 4),),
    calls=(Answer("x32 calls", False, "this kernel has none"),),
    unseen=(Unseen("writes through shared mappings", "a hook"), Unseen("something else", "")),
    refusals=Answer("refusing programs", False, "not built in"),
)
CGROUPS = Cgroups("hybrid", ("/sys/fs/cgroup/unified",), tuple(f"/sys/fs/cgroup/{n:010}" for n in range(13)))
RUNTIMES = (Runtime("docker", ("/run/\x1b[31mdocker.sock",), ()), Runtime("podman", (), ("/usr/bin/podman",)))


def text(found: Examination = FOUND) -> str:
    return "\n".join(doctor.describe(found, CGROUPS, RUNTIMES))


def test_the_verdict_comes_first() -> None:
    assert text().startswith("Probes can be loaded: loader core, tier B, offsets from the kernel's BTF.\n")
    kernel = replace(KERNEL, btf="", headers="/lib/modules/6.1.0-56-amd64/build")
    by_bcc = text(replace(FOUND, loader="bcc", offsets="headers", kernel=kernel))
    assert by_bcc.startswith("Probes can be loaded: loader bcc, tier B, offsets from the kernel's headers.\n")
    assert "headers      /lib/modules/6.1.0-56-amd64/build\n" in by_bcc
    refused = text(replace(FOUND, loads=False, problem="libbpf.so.1 is missing: apt-get install libbpf1"))
    assert refused.startswith("Probes cannot be loaded: libbpf.so.1 is missing: apt-get install libbpf1\n")


def test_fits_a_small_terminal_and_cannot_move_its_cursor() -> None:
    assert max(map(len, text().split("\n"))) <= 80
    assert all(line.isprintable() for line in text().split("\n"))


def test_every_answer_has_its_word() -> None:
    lines = text().split("\n")
    assert "  yes  tp_btf/sched_process_fork (on_fork)" in lines
    assert "  no   tp_btf/x (x): no such place" in lines
    assert any(line.startswith("  ?    fentry: not looked at") for line in lines)
    assert "  yes  io_uring" in lines
    assert "  no   x32 calls: this kernel has none" in lines


def test_whether_others_go_first_when_memory_runs_out() -> None:
    assert "OOM score    as it is, without CAP_SYS_RESOURCE" in text()
    privileged = replace(KERNEL, capabilities=(*KERNEL.capabilities, "CAP_SYS_RESOURCE"))
    assert "OOM score    -999 while it watches" in text(replace(FOUND, kernel=privileged))


def test_commands_can_be_copied() -> None:
    said = text()
    shown = said[said.index("Without root") :].split("\n\n")[0]
    commands = shown.replace(" \\\n ", "").split("\n")[1:]
    assert [" ".join(each.split()) for each in commands] == doctor._without_root()
    assert commands[1].split()[:3] == ["sudo", "setcap", "cap_bpf,cap_perfmon=ep"]


def test_routes_and_what_would_open_them() -> None:
    assert text().endswith(
        "Cannot be seen here\n  writes through shared mappings\n    would open it: a hook\n  something else"
    )


def test_what_is_missing_has_a_remedy() -> None:
    poor = replace(
        KERNEL, btf="", libbpf="", capabilities=(), missing="CAP_BPF", remedy="sudo rubicon", lockdown=""
    )
    said = text(replace(FOUND, kernel=poor))
    for each in (
        "none: a kernel with CONFIG_DEBUG_INFO_BTF=y has it",
        "apt-get install libbpf1",
        "to have what is missing: sudo rubicon",
        "lockdown     not known",
    ):
        assert each in said


def test_a_lockdown_that_blinds_probes_says_so() -> None:
    said = text(replace(FOUND, kernel=replace(KERNEL, lockdown="confidentiality")))
    assert "no probe may read the kernel's memory" in " ".join(said.split())


@pytest.mark.parametrize("loads", [True, False])
def test_json_and_exit_status(
    loads: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: replace(FOUND, loads=loads))
    monkeypatch.setattr(doctor, "cgroup_layout", lambda: CGROUPS)
    monkeypatch.setattr(doctor, "runtimes", lambda: (Runtime("podman", (), ("/bin/\udcff",)),))
    assert main(["doctor", "--json"]) == (0 if loads else 1)
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["loads"] is loads
    assert found["kernel"]["btf_bytes"] == 5_516_713
    assert found["hooks"][1] == {"program": "x", "hook": "tp_btf/x", "yes": False, "why": "no such place"}
    assert found["cgroups"]["layout"] == "hybrid"
    assert found["runtimes"] == [{"name": "podman", "sockets": [], "programs": ["/bin/\\xff"]}]
