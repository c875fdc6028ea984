"""Where a container is among the cgroups, as each layout of them and each runtime has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.cgroup_names import container_in
from tracer.targets.cgroups import parse_hierarchies
from tracer.targets.container import Place, own_place

ID = "0123456789abcdef" * 4
POD = "1b2c3d4e-0000-1111-2222-333344445555"
BARS = POD.replace("-", "_")

V1 = (
    b"30 24 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
    b"31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
    b"32 24 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n",
)
V2 = (b"30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",)
HYBRID = (*V1, b"33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        (V1, {1: "/sys/fs/cgroup/pids"}),
        (V2, {2: "/sys/fs/cgroup"}),
        (HYBRID, {1: "/sys/fs/cgroup/pids", 2: "/sys/fs/cgroup/unified"}),
    ],
    ids=["v1", "v2", "hybrid"],
)
def test_hierarchies(mounts: tuple[bytes, ...], found: dict[int, str]) -> None:
    assert parse_hierarchies(mounts) == {version: Path(path) for version, path in found.items()}


USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"
PLACES = {
    "docker, cgroupfs": ("docker", f"/docker/{ID}"),
    "docker, systemd": ("docker", f"/system.slice/docker-{ID}.scope"),
    "docker, rootless": ("docker", f"{USER}/docker-{ID}.scope"),
    "podman, cgroupfs": ("podman", f"/libpod_parent/libpod-{ID}"),
    "podman, systemd": ("podman", f"/machine.slice/libpod-{ID}.scope"),
    "podman, rootless": ("podman", f"{USER}/libpod-{ID}.scope"),
    "kubelet, cgroupfs": ("containerd", f"/kubepods/burstable/pod{POD}/{ID}"),
    "kubelet, systemd": ("containerd", f"/kubepods.slice/kubepods-pod{BARS}.slice/cri-containerd-{ID}.scope"),
    "CRI-O": ("crio", f"/kubepods.slice/kubepods-pod{BARS}.slice/crio-{ID}.scope"),
}


@pytest.mark.parametrize("below", ["", "/init.scope"], ids=["itself", "below"])
@pytest.mark.parametrize("layout", ["v1", "v2", "hybrid", "hybrid, in v1 alone"])
@pytest.mark.parametrize("runtime", PLACES)
def test_a_container(runtime: str, layout: str, below: str) -> None:
    """By one of its processes, which may be in a cgroup that the container made: systemd in it does so."""
    name, path = PLACES[runtime]
    in_v1 = [f"4:pids:{path}{below}\n", f"3:cpu,cpuacct:{path}{below}\n", f"1:name=systemd:{path}{below}\n"]
    in_v2 = [f"0::{path}{below}\n"]
    lines, version = {
        "v1": (in_v1, 1),
        "v2": (in_v2, 2),
        "hybrid": (in_v1 + in_v2, 2),
        "hybrid, in v1 alone": ([*in_v1, "0::/\n"], 1),
    }[layout]
    assert own_place(lines, ID) == Place(path, version)
    assert container_in(f"{path}{below}") == (name, ID)


def test_conmon_is_no_part_of_its_container() -> None:
    assert own_place([f"0::/machine.slice/libpod-conmon-{ID}.scope\n"], ID) is None
