"""What to watch: from the word a user types to the thing in the kernel it stands for.

    "pid:42"        the process, and all it started and will start
    "cgroup:/box"   all that is in the cgroup or below it, now and later

One file a kind of target: `processes` (psutil is used there alone) and `cgroups`. A target says what to
watch and nothing of how: `tracer.session` hands it to the source. Imported by `tracer.session` and
`tracer.cli`; imports only `tracer.errors` and `tracer.text`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracer.errors import TargetError
from tracer.targets import cgroups, processes
from tracer.text import printable


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is as the user wrote it. One other is set: a pid of this pid namespace, or a cgroup v2 id."""

    name: str
    pid: int = 0
    cgroup_id: int = 0


KINDS = ("pid:N", "cgroup:PATH")


def parse_target(word: str) -> Target:
    """Raises TargetError when there is no such kind or no such thing; the message names near matches."""
    kind, colon, rest = word.partition(":")
    if colon and kind == "pid":
        return Target(word, pid=processes.find(rest))
    if colon and kind == "cgroup":
        return Target(word, cgroup_id=cgroups.find(rest))
    raise TargetError(f"{printable(word)} is not a target: give one as {' or '.join(KINDS)}")
