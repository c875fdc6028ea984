"""Containers of Podman: through its service where that listens, else through the program `podman`.

The service (podman system service, podman.socket) speaks the API of Docker's engine and is off on many
machines. The program is on every machine that has containers of Podman, and needs no daemon.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tracer.targets.container import Container, read_passwd
from tracer.targets.docker import Engine, Listing, find_in, present

TIMEOUT_SECONDS = 20


class Program:
    """As `Engine`, by running `podman`."""

    def __init__(self, path: str) -> None:
        self.runtime = "podman"
        self.socket = path

    def find(self, name: str) -> Container | None:
        said = self._ask("container", "inspect", "--", name) if name else None
        return _container(said[0]) if said else None

    def list(self) -> Iterator[Container]:
        ids = [str(each["Id"]) for each in self._ask("ps", "--no-trunc", "--format", "json") or []]
        if ids:
            yield from map(_container, self._ask("container", "inspect", "--", *ids) or [])

    def passwd(self, container_id: str) -> bytes:
        container = self.find(container_id)
        return read_passwd(container.pid) if container and container.pid else b""

    def events(self) -> ProgramEvents:
        return ProgramEvents(self.socket)

    def _ask(self, *argv: str) -> Any:
        """What it says, in JSON; None when it says that there is no such thing."""
        done = subprocess.run([self.socket, *argv], capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
        if done.returncode:
            if b"no such" in done.stderr.lower():
                return None
            raise OSError(done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or "podman failed")
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise OSError("what podman said is not JSON") from error


class ProgramEvents:
    """`podman events`: JSON objects in a form of their own, turned into that of the API."""

    def __init__(self, path: str) -> None:
        command = [path, "events", "--format", "json", "--filter", "type=container"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            yield {
                "Action": said.get("Status"),
                "Actor": {
                    "ID": said.get("ID"),
                    "Attributes": {
                        **(said.get("Attributes") or {}),
                        "name": said.get("Name") or "",
                        "image": said.get("Image") or "",
                    },
                },
            }

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def _container(said: Mapping[str, Any]) -> Container:
    state, config = said.get("State") or {}, said.get("Config") or {}
    return Container(
        id=str(said["Id"]),
        runtime="podman",
        name=str(said.get("Name") or ""),
        image=str(said.get("ImageName") or config.get("Image") or ""),
        pid=int(state.get("Pid") or 0) if state.get("Running") else 0,
        started=str(state.get("StartedAt") or ""),
        labels=dict(config.get("Labels") or {}),
    )


def sockets(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> list[str]:
    """As the environment says, else that of root and those of other users."""
    named = environment.get("CONTAINER_HOST", "")
    if named.startswith("unix://"):
        return [named.removeprefix("unix://")]
    return present([root / "run/podman/podman.sock", *sorted(root.glob("run/user/*/podman/podman.sock"))])


def engines() -> Sequence[Listing]:
    """The program only where root's service does not listen: it would say the same again."""
    services: list[Listing] = [Engine("podman", socket) for socket in sockets()]
    program = shutil.which("podman")
    if program and not any("/user/" not in each.socket for each in services):
        return [*services, Program(program)]
    return services


def find(name: str) -> tuple[Container, bytes]:
    return find_in("podman", name, engines())
