"""What to watch: from the word a user types to the thing in the kernel it stands for.

    pid:42        the process, and all it started and will start
    cgroup:/box   all that is in the cgroup or below it, now and later
    docker:web    a container, by name or id, with what `docker exec` starts in it; so podman:

One file a kind of target: `processes` (psutil is used there alone), `cgroups`, `docker`, and beside them
`container` for what containers of all runtimes have in common. A target says what to watch and nothing of
how: `tracer.session` hands it to the source. Imported by `tracer.session` and `tracer.cli`; imports only
`tracer.errors`, `tracer.text` and `tracer.cgroup_names`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tracer.errors import TargetError
from tracer.targets import cgroups, processes
from tracer.targets.container import Container
from tracer.text import printable


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is as the user wrote it. A pid of this pid namespace, or the id of a cgroup, is set.

    records     context records that go into the trace with it
    """

    name: str
    pid: int = 0
    cgroup_id: int = 0
    cgroup_version: int = 2
    container: Container | None = None
    records: tuple[Mapping[str, Any], ...] = ()


def _pid(word: str, rest: str) -> Target:
    return Target(word, pid=processes.find(rest))


def _cgroup(word: str, rest: str) -> Target:
    return Target(word, cgroup_id=cgroups.find(rest))


def _docker(word: str, rest: str) -> Target:
    from tracer.targets import docker

    return _of_container(word, docker.find(rest))


def _of_container(word: str, found: tuple[Container, bytes]) -> Target:
    """Held by its cgroup; where a rootless runtime made none, by its first process and what comes of it."""
    from tracer.targets import container as containers

    container, passwd = found
    containers.await_first_program(container.pid)
    place = containers.place_of(container.pid, container.id)
    users = containers.user_records(container, passwd, containers.uid_map(container.pid))
    records = (container.record(), *users)
    if place is None:
        return Target(word, pid=processes.find(str(container.pid)), container=container, records=records)
    return Target(
        word,
        cgroup_id=cgroups.id_of(place.path, place.version),
        cgroup_version=place.version,
        container=container,
        records=records,
    )


_KINDS: Mapping[str, tuple[str, Callable[[str, str], Target]]] = {
    "pid": ("pid:N", _pid),
    "cgroup": ("cgroup:PATH", _cgroup),
    "docker": ("docker:NAME", _docker),
}
KINDS = tuple(form for form, _find in _KINDS.values())


def parse_target(word: str) -> Target:
    """Raises TargetError when there is no such kind or no such thing; the message names near matches."""
    kind, colon, rest = word.partition(":")
    if not colon or kind not in _KINDS:
        forms = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
        raise TargetError(f"{printable(word)} is not a target: give one as {forms}")
    return _KINDS[kind][1](word, rest)
