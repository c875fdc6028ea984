"""Containers that come and go while we watch, as the runtimes themselves tell it: no polling.

Docker and Podman stream events over their API (Podman without a service: `podman events`), containerd to
`ctr events`. A container is told of when it is created, which is before anything runs in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tracer.targets import containerd, docker, podman
from tracer.targets.container import Container, read_passwd
from tracer.targets.docker import Listing, container_event

RETRY_SECONDS = 1.0
CREATED, STARTED, REMOVED = "created", "started", "removed"
_MEANINGS = {
    "create": CREATED, "init": CREATED, "start": STARTED, "restart": STARTED, "destroy": REMOVED,
    "remove": REMOVED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """`passwd` reads the container's users, `now` asks what became of it; both may take a moment."""

    what: str
    container: Container
    passwd: Callable[[], bytes] = lambda: b""
    now: Callable[[], Container | None] = lambda: None


class Teller(Protocol):
    """A runtime: `running` containers, and `changes` from the moment it is asked."""

    name: str

    def running(self) -> Iterator[Change]: ...
    def changes(self) -> Iterator[Change]: ...
    def close(self) -> None: ...


class ApiTeller:
    def __init__(self, engine: Listing) -> None:
        self.name = f"{engine.runtime} ({engine.socket})"
        self._engine = engine
        self._stream: docker.EventStream | None = None

    def running(self) -> Iterator[Change]:
        for container in self._engine.list():
            yield self._change(STARTED, container)

    def changes(self) -> Iterator[Change]:
        self._stream = self._engine.events()
        return self._told(self._stream)

    def _told(self, stream: docker.EventStream) -> Iterator[Change]:
        for event in stream:
            told = container_event(self._engine.runtime, event)
            if told and told[0] in _MEANINGS:
                yield self._change(_MEANINGS[told[0]], told[1])

    def _change(self, what: str, container: Container) -> Change:
        engine = self._engine
        return Change(what, container, lambda: engine.passwd(container.id), lambda: engine.find(container.id))

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class ContainerdTeller:
    def __init__(self, program: str) -> None:
        self.name = "containerd"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def running(self) -> Iterator[Change]:
        for container in containerd.listed():
            yield Change(STARTED, container, lambda pid=container.pid: read_passwd(pid))  # type: ignore[misc]

    def changes(self) -> Iterator[Change]:
        self._process = subprocess.Popen(
            [self._program, "events"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self._told(self._process)

    def _told(self, process: subprocess.Popen[bytes]) -> Iterator[Change]:
        assert process.stdout is not None
        for line in process.stdout:
            if change := _containerd_change(line):
                yield change

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()


def _containerd_change(line: bytes) -> Change | None:
    """A line of `ctr events`: date, time, zone and its name, namespace, topic, JSON."""
    fields = line.decode("utf-8", "replace").split(" ", 6)
    if len(fields) < 7 or fields[4] == containerd.DOCKERS_OWN:
        return None
    namespace, topic = fields[4], fields[5]
    try:
        said: Mapping[str, Any] = json.loads(fields[6])
    except ValueError:
        return None
    if topic == "/containers/create":
        return Change(CREATED, containerd.created(namespace, str(said.get("id"))))
    if topic == "/containers/delete":
        return Change(REMOVED, Container(str(said.get("id")), "containerd"))
    if topic == "/tasks/start":
        container = containerd.running(namespace, str(said.get("container_id")))
        if container:
            return Change(STARTED, container, lambda: read_passwd(container.pid), lambda: container)
    return None


def tellers() -> list[Teller]:
    """One for each runtime that is here."""
    found: list[Teller] = [ApiTeller(engine) for engine in (*docker.engines(), *podman.engines())]
    program = shutil.which("ctr")
    if program and any((folder / "containerd.sock").is_socket() for folder in containerd.state_folders()):
        found.append(ContainerdTeller(program))
    return found


class Follower:
    """A thread for each runtime. `on_change` is called from any of them, `on_notice` when one is silent."""

    def __init__(
        self, on_change: Callable[[Change], object], on_notice: Callable[[str], object], told_by: list[Teller]
    ) -> None:
        self._on_change = on_change
        self._on_notice = on_notice
        self._tellers = told_by
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name="follow", daemon=True) for each in told_by
        ]
        self._ready = [threading.Event() for _ in told_by]

    def start(self) -> None:
        """Returns when each runtime has told what runs now."""
        for thread in self._threads:
            thread.start()
        for ready in self._ready:
            ready.wait(RETRY_SECONDS * 10)

    def _run(self, teller: Teller) -> None:
        ready = self._ready[self._tellers.index(teller)]
        silent = False
        while not self._closed.is_set():
            try:
                changes = teller.changes()  # before the look at what runs: what starts between is in both
                for change in teller.running():
                    self._on_change(change)
                ready.set()
                if silent:
                    self._on_notice(f"{teller.name} answers again")
                    silent = False
                for change in changes:
                    self._on_change(change)
            except (OSError, subprocess.SubprocessError):
                pass
            ready.set()
            if not self._closed.wait(RETRY_SECONDS) and not silent:
                silent = True
                self._on_notice(f"{teller.name} does not answer: containers that it starts may have no names")

    def close(self) -> None:
        self._closed.set()
        for teller in self._tellers:
            with suppress(OSError):
                teller.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(RETRY_SECONDS * 2)
