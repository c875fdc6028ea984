"""What can be attached to right now: containers, pods, units, and processes in namespaces of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracer.targets import cgroups, containerd, docker, podman, pods, processes, units
from tracer.targets.container import Container, Place, place_of, process_count, short

_UNITS_OF_THE_MACHINE = (".slice",)  # they hold units, and are none that does anything


@dataclass(frozen=True, slots=True)
class Found:
    """`word` is what `attach` takes. `since` is RFC 3339 in UTC, "" when unknown."""

    kind: str
    word: str
    image: str = ""
    processes: int = 0
    since: str = ""
    id: str = ""


def listing() -> tuple[list[Found], list[str]]:
    """All that is there, and which runtimes did not answer."""
    found: list[Found] = []
    silent: list[str] = []
    parts: list[tuple[str, Callable[[], Iterator[Found]]]] = [
        *((f"{each.runtime} ({each.socket})", _of_engine(each)) for each in docker.engines()),
        *((f"{each.runtime} ({each.socket})", _of_engine(each)) for each in podman.engines()),
        ("containerd", _of_containerd),
        ("pods", _pods),
        ("units", _units),
        ("processes", _sandboxes),
    ]
    for name, part in parts:
        try:
            found += part()
        except OSError as error:
            silent.append(f"{name}: {error.strerror or error}")
    return found, silent


def _of_engine(engine: docker.Listing) -> Callable[[], Iterator[Found]]:
    def containers() -> Iterator[Found]:
        for each in engine.list():
            yield _container(engine.runtime, each)

    return containers


def _of_containerd() -> Iterator[Found]:
    for each in containerd.listed():
        if not each.pod:
            yield _container("containerd", each)


def _container(kind: str, container: Container) -> Found:
    place = place_of(container.pid, container.id)
    count = process_count(place, cgroups.hierarchies()) if place else 1
    word = f"{kind}:{container.name or short(container.id)}"
    return Found(kind, word, container.image, count, _seconds(container.started), container.id)


def _pods() -> Iterator[Found]:
    folders = cgroups.hierarchies()
    for name, containers in sorted(pods.by_name().items()):
        places = [place for each in containers if (place := place_of(each.pid, each.id))]
        images = sorted({each.image for each in containers if each.image})
        count = sum(process_count(place, folders) for place in places)
        yield Found("pod", f"pod:{name}", ", ".join(images), count, min(each.started for each in containers))


def _units() -> Iterator[Found]:
    folders = cgroups.hierarchies()
    for name, place in sorted(units.running().items()):
        count = process_count(place, folders)
        if count and not name.endswith(_UNITS_OF_THE_MACHINE):
            yield Found("unit", f"unit:{name}", "", count, _made(place, folders))


def _made(place: Place, folders: dict[int, Path]) -> str:
    with suppress(OSError):
        return _text(os.stat(folders[place.version] / place.path.lstrip("/")).st_ctime)
    return ""


def _sandboxes() -> Iterator[Found]:
    """The outermost processes in another pid or network namespace than ours, but those of containers."""
    for pid, name, started, count in processes.namespaced():
        yield Found("pid", f"pid:{pid}", name, count, _text(started))


def _text(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _seconds(rfc3339: str) -> str:
    """Without its fraction; what is in another zone stays so."""
    return f"{rfc3339[:19]}Z" if rfc3339.endswith("Z") else rfc3339
