"""Containers of Docker, and of Podman where its service listens: both speak the Docker Engine API.

https://docs.docker.com/reference/api/engine/. Paths without a version are used: the oldest version that an
engine takes and the newest it knows differ, and some have none in common.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from tracer.errors import TargetError
from tracer.targets import unixhttp
from tracer.targets.container import Container, read_passwd, short
from tracer.targets.storage import passwd_in_storage
from tracer.targets.unixhttp import NotFound
from tracer.text import printable

_STARTS = frozenset({"start", "restart"})


class Engine:
    """One daemon, by its socket; `runtime` is "docker" or "podman".

    Its methods raise OSError when it does not answer.
    """

    def __init__(self, runtime: str, socket: str) -> None:
        self.runtime = runtime
        self.socket = socket

    def find(self, name: str) -> Container | None:
        """By name, id or the beginning of an id."""
        if not name:
            return None
        try:
            return self._container(unixhttp.get(self.socket, f"/containers/{quote(name, safe='')}/json"))
        except NotFound:
            return None

    def list(self) -> Iterator[Container]:
        """Those that run."""
        for each in unixhttp.get(self.socket, "/containers/json"):
            with suppress(NotFound):  # it has ended since
                yield self._container(unixhttp.get(self.socket, f"/containers/{each['Id']}/json"))

    def passwd(self, container_id: str) -> bytes:
        """Of a container that runs, or has only been created."""
        with suppress(OSError, NotFound):
            said = unixhttp.get(self.socket, f"/containers/{container_id}/json")
            pid = self._container(said).pid
            return read_passwd(pid) if pid else passwd_in_storage(said, self._folder)
        return b""

    def _folder(self) -> str:
        return str(unixhttp.get(self.socket, "/info").get("DockerRootDir") or "")

    def events(self) -> unixhttp.Stream:
        """Of containers: see `container_event`."""
        query = urlencode({"filters": '{"type":["container"]}'})
        return unixhttp.Stream(self.socket, f"/events?{query}")

    def _container(self, said: Mapping[str, Any]) -> Container:
        config, state = said.get("Config") or {}, said.get("State") or {}
        return Container(
            id=str(said["Id"]),
            runtime=self.runtime,
            name=str(said.get("Name") or "").lstrip("/"),
            image=str(config.get("Image") or said.get("Image") or ""),
            pid=int(state.get("Pid") or 0) if state.get("Running") else 0,
            started=str(state.get("StartedAt") or ""),
            labels=dict(config.get("Labels") or {}),
        )


def container_event(runtime: str, event: Mapping[str, Any]) -> tuple[str, Container] | None:
    """What happened and to which container, as far as the event tells; None for events of no interest.

    The attributes of an event are the container's name and image, and its labels beside them.
    """
    actor = event.get("Actor") or {}
    action, attributes = event.get("Action") or event.get("status"), dict(actor.get("Attributes") or {})
    if not action or not actor.get("ID"):
        return None
    name, image = str(attributes.pop("name", "")), str(attributes.pop("image", ""))
    return str(action), Container(str(actor["ID"]), runtime, name, image, labels=attributes)


def sockets(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> list[str]:
    """Where Docker may listen: as the environment says, the usual place, and those of users without root."""
    named = environment.get("DOCKER_HOST", "")
    if named.startswith("unix://"):
        return [named.removeprefix("unix://")]
    places = [root / "run/docker.sock", root / "var/run/docker.sock"]
    return present([*places, *sorted(root.glob("run/user/*/docker.sock"))])


def present(places: list[Path]) -> list[str]:
    """Those that are sockets, each once."""
    found: list[str] = []
    for place in places:
        with suppress(OSError):
            real = str(place.resolve())
            if place.is_socket() and real not in found:
                found.append(real)
    return found


def find(name: str) -> tuple[Container, bytes]:
    """A container that runs, by name or id, and its passwd file."""
    return find_in("docker", name, engines())


class Listing(Protocol):
    """What can be asked for containers. `socket` is what it is called by in messages."""

    runtime: str
    socket: str

    def find(self, name: str) -> Container | None: ...
    def list(self) -> Iterator[Container]: ...
    def passwd(self, container_id: str) -> bytes: ...
    def events(self) -> EventStream: ...


class EventStream(Protocol):
    """In the form of Docker's API; see `container_event`."""

    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def close(self) -> None: ...


def find_in(runtime: str, name: str, places: Sequence[Listing]) -> tuple[Container, bytes]:
    """Raises TargetError when there is none, or it does not run; the message names near matches."""
    known: list[Container] = []
    failures: list[str] = []
    for engine in places:
        try:
            container = engine.find(name)
            if container and container.pid:
                return container, engine.passwd(container.id)
            known += engine.list()
        except OSError as error:
            failures.append(f"{engine.socket}: {error.strerror or error}")
            continue
        if container:
            raise TargetError(f"the container {printable(name)} does not run{near(name, known)}")
    if not places or len(failures) == len(places):
        where = "; ".join(map(printable, failures)) or "found no socket that it listens on"
        raise TargetError(f"{runtime}:{printable(name)}: {runtime} does not answer: {where}")
    raise TargetError(f"{runtime} has no container {printable(name)}{near(name, known)}")


def near(name: str, known: Iterable[Container]) -> str:
    names = [each.name or short(each.id) for each in known]
    found = get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
    return f"; near matches: {', '.join(map(printable, found))}" if found else ""


def engines() -> Sequence[Listing]:
    return [Engine("docker", socket) for socket in sockets()]
