"""The machine around: cgroup hierarchies from mount tables as they are met, runtimes from their traces."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tracer.targets.machine import Cgroups, Runtime, cgroup_layout, parse_layout, runtimes

V2 = b"30 23 0:26 / /sys/fs/cgroup%s rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
CPU = b"33 23 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
ODD = b"34 23 0:30 / /mnt/with\\040space rw - cgroup cgroup rw,pids\n"
OTHER = b"22 1 254:0 / / rw - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([OTHER, V2 % b""], Cgroups("v2", ("/sys/fs/cgroup",), ())),
        ([OTHER, CPU, ODD], Cgroups("v1", (), ("/sys/fs/cgroup/cpu", "/mnt/with space"))),
        ([CPU, V2 % b"/unified"], Cgroups("hybrid", ("/sys/fs/cgroup/unified",), ("/sys/fs/cgroup/cpu",))),
        ([OTHER, b"nonsense\n", b""], Cgroups("none", (), ())),
    ],
)
def test_layouts(mounts: list[bytes], expected: Cgroups) -> None:
    assert parse_layout(mounts) == expected


def test_this_machine_has_one() -> None:
    assert cgroup_layout().layout in {"v1", "v2", "hybrid", "none"}


def test_no_runtime(tmp_path: Path) -> None:
    assert runtimes({"PATH": str(tmp_path)}, tmp_path) == ()


def test_runtimes_by_socket_and_by_program(tmp_path: Path) -> None:
    for folder in ("run/podman", "own/podman", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bin/dockerd").touch(0o755)
    (tmp_path / "run/docker.sock").touch()  # a file is no socket
    places = [tmp_path / "run/podman/podman.sock", tmp_path / "own/podman/podman.sock"]
    for place in places:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
    found = runtimes({"PATH": str(tmp_path / "bin"), "XDG_RUNTIME_DIR": str(tmp_path / "own")}, tmp_path)
    assert found == (
        Runtime("docker", (), (str(tmp_path / "bin/dockerd"),)),
        Runtime("podman", tuple(sorted(str(place) for place in places)), ()),
    )
