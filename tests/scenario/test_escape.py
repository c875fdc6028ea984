"""Ways to make a path or a descriptor mean something else; and sandboxes that are made honestly."""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from .conftest import Spawn
from .driver import PROGRAMS, PYTHON, Document, Rubicon

BIND = 'mount --bind "$0" b; echo x >b/f'


@pytest.fixture
def forbidden(rubicon: Rubicon) -> Path:
    """A folder outside the workspace."""
    folder = rubicon.folder / "forbidden"
    folder.mkdir()
    (rubicon.work / "b").mkdir()
    return folder


def policy(rubicon: Rubicon, more: str = "") -> Path:
    """May write in the workspace and nowhere else."""
    return rubicon.policy(f"files:\n  write: ['{rubicon.work}/**']\n{more}")


def alerts(
    rubicon: Rubicon, policy: Path, *command: str | Path, status: int = 0, **options: object
) -> list[Document]:
    """What the policy has against a command."""
    given = ["--policy", policy, "--trace", rubicon.trace]
    done = rubicon.do("run", *given, "--", *command, **options)
    assert done.returncode == status, done.stderr
    found = [each for each in rubicon.export() if each["event"]["kind"] == "alert"]
    return [each for each in found if each["rule"]["id"].startswith("files.")]


def test_a_bind_mount_over_the_workspace(rubicon: Rubicon, forbidden: Path) -> None:
    """What is written is a file of the workspace by its path, and one outside in truth."""
    command = ["unshare", "-Urm", "sh", "-c", BIND, forbidden]
    found = alerts(rubicon, policy(rubicon), *command)
    (alert,) = (each for each in found if each["rule"]["id"] == "files.mounts")
    assert {each["file"]["path"].split("/")[1] for each in found if each is not alert} == {"proc"}  # uid_map
    assert (forbidden / "f").read_text() == "x\n"
    assert (alert["rule"]["id"], alert["event"]["action"]) == ("files.mounts", "mount")
    assert alert["rubicon"]["boundary"]["path"] == f"{rubicon.work}/b"
    assert alert["message"].endswith(
        f"called mount: none {forbidden} on {rubicon.work}/b MS_BIND, which the policy does not allow: "
        "a path may then lead to another file than it names"
    )


def test_the_set_up_of_a_sandbox_may_be_allowed(rubicon: Rubicon, forbidden: Path) -> None:
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    bwrap = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    strict = policy(rubicon)
    found = alerts(rubicon, strict, *bwrap, "true")
    assert {each["rule"]["id"] for each in found} == {"files.mounts", "files.write"}
    assert {"mount", "pivot_root"} <= {each["event"]["action"] for each in found}
    rubicon.trace.unlink()
    allowed = policy(rubicon, "  mounts: [bwrap]\n")
    found = alerts(rubicon, allowed, *bwrap, "true")
    assert {each["rule"]["id"] for each in found} <= {"files.write"}
    rubicon.trace.unlink()
    # What runs inside may not use the same program again, not even in its own process.
    again = 'exec bwrap --dev-bind / / --bind "$0" "$PWD/b" sh -c "echo x >b/f"'
    found = alerts(rubicon, allowed, *bwrap, "sh", "-c", again, forbidden)
    assert (forbidden / "f").read_text() == "x\n"
    mounts = [each for each in found if each["rule"]["id"] == "files.mounts"]
    assert f"{rubicon.work}/b" in json.dumps(mounts)


@pytest.mark.parametrize("redirected", [False, True])
def test_a_file_from_a_stranger_as_standard_output(
    redirected: bool, rubicon: Rubicon, forbidden: Path
) -> None:
    """Where the operator sent the output is the operator's business; a descriptor number proves nothing."""
    target = forbidden / "f"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(rubicon.folder / "stranger"))
    server.listen()

    def hand_over() -> None:
        with server, server.accept()[0] as connection, open(target, "ab") as file:
            rights = array.array("i", [file.fileno()])
            connection.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    stranger = threading.Thread(target=hand_over)
    stranger.start()
    log = os.open(target if redirected else rubicon.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        command = [PYTHON, "-I", "-S", PROGRAMS / "handed.py", rubicon.folder / "stranger"]
        found = alerts(rubicon, policy(rubicon), *command, stdout=log)
    finally:
        os.close(log)
        stranger.join()
    assert target.read_text() == "escaped\n"
    if redirected:
        assert found == []
        return
    (alert,) = found
    assert (alert["rule"]["id"], alert["file"]["path"]) == ("files.write", str(target))
    assert alert["rubicon"]["file"]["descriptor"] == 1
    assert "wrote to" in alert["message"]
    assert "which was open before" in alert["message"]


HELPERS = """
import os, socket, sys
*sockets, cgroup, stranger = sys.argv[1:]
for path in sockets:
    with socket.socket(socket.AF_UNIX) as client: client.connect(path)
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", cgroup + "/cgroup.procs"):
    os.close(os.open(path, os.O_WRONLY))
with open(f"/proc/{stranger}/mem", "r+b"): pass
"""


def test_somebody_else_to_do_it(rubicon: Rubicon, cgroup: Path, spawn: Spawn) -> None:
    """Container runtimes, the service manager, the kernel, another process: each is a violation, once."""
    stranger = spawn("sleep", "300")
    names = ("docker.sock", "containerd.sock", "podman.sock", "systemd/private", "harmless.sock")
    with ExitStack() as stack:
        for name in names:
            (rubicon.folder / name).parent.mkdir(exist_ok=True)
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(rubicon.folder / name))
            server.listen()
        paths = [rubicon.folder / name for name in names]
        done = rubicon.run(PYTHON, "-I", "-S", "-c", HELPERS, *paths, cgroup, str(stranger.pid))
    assert done.returncode == 0, done.stderr
    found = [each for each in rubicon.export() if each["event"]["kind"] == "alert"]
    assert [(each["rule"]["name"], where_of(each)) for each in found] == [
        *[("Connection to a container runtime or the service manager", str(path)) for path in paths[:4]],
        ("Program set that the kernel will run", "/proc/sys/kernel/core_pattern"),
        ("Setting of the kernel changed", "/proc/sys/vm/swappiness"),
        ("Setting of the kernel changed", f"{cgroup}/cgroup.procs"),
        ("Process outside the sandbox taken over", f"/proc/{stranger.pid}/mem"),
    ]


def where_of(alert: Document) -> str:
    if "destination" in alert:
        return str(alert["destination"]["address"])
    return str(alert["file"]["path"] if "file" in alert else alert["rubicon"]["boundary"]["path"])
