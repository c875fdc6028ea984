"""Who is in which scope, what each is called, and which a word means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracer.capture import ScopeCgroup
from tracer.errors import UsageError
from tracer.session.scopes import ALL, Scopes
from tracer.targets import Target
from tracer.targets.container import Container

ID = "a" * 64


class FakeSource:
    def __init__(self, members: dict[int, int], cgroups: dict[ScopeCgroup, int]) -> None:
        self._members, self._cgroups = members, cgroups

    def members(self) -> dict[int, int]:
        return self._members

    def scope_cgroups(self) -> dict[ScopeCgroup, int]:
        return self._cgroups


def made(
    folder: Path, members: dict[int, int] | None = None, cgroups: dict[ScopeCgroup, int] | None = None
) -> Scopes:
    """A cgroup of version 2 lies in a folder of its id, that of a process of version 1 in one of its pid."""
    return Scopes(
        FakeSource(members or {}, cgroups or {}),
        lambda number: folder / f"docker-{ID}.scope" if number == 99 else folder / f"cgroup{number}",
        lambda pid: folder / f"freezer{pid}",
    )


def test_members_and_folders_of_one_are_of_no_other(tmp_path: Path) -> None:
    scopes = made(
        tmp_path,
        {10: 1, 11: 1, 20: 2, 30: 3},
        {ScopeCgroup(5, 2): 2, ScopeCgroup(6, 1): 3, ScopeCgroup(7, 2): 2},
    )
    scopes.hold(1, tmp_path / "leaf")
    assert [sorted(scopes.one(each).members()) for each in (1, 2, 3, 4)] == [[10, 11], [20], [30], []]
    folders = [[each.name for each in scopes.one(number).folders()] for number in (1, 2, 3, 4)]
    assert folders == [["leaf"], ["cgroup5", "cgroup7"], ["freezer30"], []]
    assert sorted(scopes.every().members()) == [10, 11, 20, 30]
    assert len(list(scopes.every().folders())) == 4
    assert scopes.numbers() == [1, 2, 3]


def test_a_cgroup_is_looked_for_when_it_is_added(tmp_path: Path) -> None:
    """Once, and not when something is to be done to it."""
    asked: list[int] = []

    def look(number: int) -> Path:
        asked.append(number)
        return tmp_path / f"cgroup{number}"

    cgroups = {ScopeCgroup(5, 2): 1, ScopeCgroup(6, 1): 2}
    scopes = Scopes(FakeSource({}, cgroups), look, lambda _pid: None)
    scopes.add(1, Target("cgroup:/five", cgroup_id=5))
    scopes.add(2, Target("cgroup:/six", cgroup_id=6, cgroup_version=1))
    assert asked == [5]
    assert list(scopes.one(1).folders()) == [tmp_path / "cgroup5"]
    assert asked == [5]


def test_a_word_means_a_target_or_a_number(tmp_path: Path) -> None:
    scopes = made(tmp_path, {10: 1, 20: 2, 30: 3, 40: 4}, {ScopeCgroup(99, 2): 4})
    for number, name in ((1, "pid:10"), (2, "pod:a/b"), (3, "pod:a/b"), (5, "pid:of\x1bold")):
        scopes.add(number, Target(name))
    assert scopes.named("pod:a/b") == [2, 3]
    assert scopes.named("1") == [1]
    assert scopes.named(f"docker:{ID}") == [4]
    scopes.call(Container(ID, "docker", "web", "box"))
    assert scopes.named("docker:web") == [4]
    with pytest.raises(
        UsageError, match=r"^pid:9\\x1b is not watched; there are pid:10, pod:a/b, docker:web$"
    ):
        scopes.named("pid:9\x1b")
    with pytest.raises(UsageError, match=r"is not watched$"):
        made(tmp_path).named("pid:10")
    assert (scopes.words(1), scopes.words(9)) == ("pid:10", "scope 9")
    assert made(tmp_path, {10: 7}).words(7) == ALL


def test_rubicon_itself_is_spared_but_not_whom_it_was_told_to_watch(tmp_path: Path) -> None:
    scopes = made(tmp_path)
    assert os.getpid() in scopes.spared()
    child = os.fork()
    if not child:
        os.execv("/bin/sleep", ["sleep", "60"])
    try:
        assert child in scopes.spared()
        scopes.add(1, Target("pid", pid=child))
        assert child not in scopes.spared()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
