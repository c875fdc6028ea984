"""kill.h: who changes a file that the list does not allow is killed before the call returns."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, flags, list_paths
from tracer.records import Flag, OpenRecord, PathRecord
from tracer.rules.allowed import HARMLESS

Killing = Callable[..., Watch]

EACH = """
def tried(act):
    pid = os.fork()
    if not pid:
        try: act()
        except OSError as error: os._exit(error.errno)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def create(name, at=None): os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=at))
"""


@pytest.fixture
def killing(guarding: Watch) -> Killing:
    """Who changes files but those of some patterns is killed."""

    def opened(*patterns: str) -> Watch:
        list_paths(guarding.guard, writes=[*patterns, *HARMLESS])
        guarding.guard.kill(programs=False, writes=True)
        return guarding

    return opened


@pytest.fixture
def both(here: Path) -> Path:
    """A folder with one where all is allowed and one where nothing is."""
    for name in ("in", "out"):
        (here / name / "empty").mkdir(parents=True)
        for file in ("a", "b"):
            (here / name / file).write_text("x")
    return here


ACTS = {
    "create": 'create("%s/new")',
    "create in a folder": 'create("new2", os.open("%s", os.O_RDONLY))',
    "truncate by open": 'os.open("%s/a", os.O_RDONLY | os.O_TRUNC)',
    "make": 'os.mkdir("%s/made")',
    "make a node": 'os.mknod("%s/node", 0o600)',
    "symlink": 'os.symlink("target", "%s/symlink")',
    "link": 'os.link("in/b", "%s/link")',
    "rename to": '(create("in/moved"), os.rename("in/moved", "%s/renamed"))',
    "mode": 'os.chmod("%s/a", 0o600)',
    "mode of a file": 'os.fchmod(os.open("%s/a", os.O_RDONLY), 0o640)',
    "owner": 'os.chown("%s/a", 0, 0)',
    "length": 'os.truncate("%s/a", 0)',
    "remove a folder": 'os.rmdir("%s/empty")',
    "remove": 'os.unlink("%s/b")',
}


def test_each_way_to_change_a_file(killing: Killing, both: Path) -> None:
    """The act is done, and its call does not come back."""
    watch = killing(f"{both}/in/**")
    lines = [f"print(tried(lambda: {act % name}))" for act in ACTS.values() for name in ("in", "out")]
    run = watch.python(EACH + "\n".join(lines), cwd=both)
    assert run.output.split() == [b"0", b"-9"] * len(ACTS)
    assert not (both / "out" / "b").exists()
    killed = [each for each in run.of(OpenRecord) + run.of(PathRecord) if Flag.KILLED in flags(each)]
    assert len(killed) == len(ACTS)
    assert [each.status for each in run.exits].count(signal.SIGKILL) == len(ACTS)


def test_the_other_name_counts_as_well(killing: Killing, both: Path) -> None:
    watch = killing(f"{both}/in/**")
    acts = 'os.rename("out/a", "in/from")', 'os.link("out/b", "in/from2")'
    run = watch.python(EACH + "\n".join(f"print(tried(lambda: {act}))" for act in acts), cwd=both)
    assert run.output.split() == [b"-9", b"-9"]


def test_names_as_they_are_given(killing: Killing, both: Path) -> None:
    """One with ".." in it is left to user space where only the caller has it; an open is not."""
    watch = killing(f"{both}/in/**")
    names = ("out/1", "./out//2", f"{both}/out/3", f"//{both}/./out/4/", "in/../out/5", "in/./6/")
    lines = [f'print(tried(lambda: os.mkdir("{name}")))' for name in names]
    run = watch.python(EACH + "\n".join([*lines, 'print(tried(lambda: create("in/../out/7")))']), cwd=both)
    with_dots = b"-9" if watch.source.tier == "A" else b"0"
    assert run.output.split() == [b"-9", b"-9", b"-9", b"-9", with_dots, b"0", b"-9"]


def test_who_is_let_be(killing: Killing, both: Path) -> None:
    """What failed, what is only read, devices that keep nothing, a file that was open before."""
    watch = killing(f"{both}/in/**")
    acts = (
        'os.mkdir("out")',
        'os.unlink("out/none")',
        'os.open("out/a", os.O_RDONLY)',
        'os.open("/dev/null", os.O_WRONLY)',
        'os.write(int(sys.argv[1]), b"x")',
    )
    with open(both / "out" / "before", "wb") as before:
        run = watch.python(
            EACH + "\n".join(f"print(tried(lambda: {act}))" for act in acts),
            str(before.fileno()),
            cwd=both,
            pass_fds=[before.fileno()],
        )
    assert run.output.split() == [b"17", b"2", b"0", b"0", b"0"]
    assert not any(Flag.KILLED in flags(each) for each in run.of(OpenRecord))


@pytest.mark.parametrize("modes", ["-", "s", "a", "d"])
@pytest.mark.parametrize("act", ["open", "mkdir"])
def test_through_io_uring(killing: Killing, both: Path, modes: str, act: str) -> None:
    watch = killing(f"{both}/in/**")
    allowed = watch.trigger("uring", modes, act, "in/new", cwd=both)
    if allowed.status == 77:
        pytest.skip("this kernel has no io_uring of that kind")
    assert allowed.status == 0
    run = watch.trigger("uring", modes, act, "out/new", cwd=both)
    assert run.status == -signal.SIGKILL
    assert [Flag.KILLED in flags(each) for each in run.of(OpenRecord) + run.of(PathRecord)] == [True]
