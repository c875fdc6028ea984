from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.rules.made import (
    AGENT,
    bounded,
    broken,
    connected,
    connected_other,
    connected_unix,
    event,
    file,
    matches,
    process,
    ran,
    rules_of,
    sent,
    spoke,
)
from tracer.events import EARLIER_KEPT, Action, Event, Exit, Outcome, Process, Spoken
from tracer.rules import RuleSet

FILES = """\
files:
  write: [/work/**, /tmp/*, "!/work/.git/hooks/**", "!/work/secret"]
"""
NETWORK = """\
network:
  connect: [localhost, "pypi.org:443", 10.0.0.0/8]
"""
PROCESS = """\
process:
  exec: [git, python3*, /opt/tools/**, "!/opt/tools/bad", "!pythonw"]
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    return rules_of(tmp_path_factory.mktemp("p"), FILES)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    return rules_of(tmp_path_factory.mktemp("p"), NETWORK)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    return rules_of(tmp_path_factory.mktemp("p"), PROCESS)


@pytest.mark.parametrize(
    "path",
    [
        "/work",
        "/work/a/b",
        "/tmp/x",
        "/dev/null",
        "/dev/pts/3",
        "/dev/tty",
        "/work/.git/hook",
        "/work/secrets",
    ],
)
def test_what_the_policy_allows_is_silent(files: RuleSet, path: str) -> None:
    for action in Action:
        if action.startswith("file_"):
            assert files.judge(file(path, action, original="/work/old")) == ()


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/tmp/a/b", "/workshop/x", "/work/.git/hooks/pre-commit", "/work/secret", "/dev/sda"],
)
def test_what_it_does_not_allow_is_told(files: RuleSet, path: str) -> None:
    (violation,) = files.judge(file(path))
    assert violation.rule.id == "files.write"
    assert matches((violation,)) == [("file.path", path)]
    assert violation.summary == (
        f"python3.11 (pid 7) opened {path} for writing, which the policy does not allow"
    )


@pytest.mark.parametrize(
    ("made", "summary"),
    [
        (file("/etc/x", created=True), "created /etc/x"),
        (file("/etc/x", Action.FILE_UNLINK), "removed /etc/x"),
        (file("/etc/x", Action.FILE_MKDIR), "created the directory /etc/x"),
        (file("/etc/x", Action.FILE_RMDIR), "removed the directory /etc/x"),
        (file("/etc/x", Action.FILE_TRUNCATE), "truncated /etc/x"),
        (file("/etc/x", Action.FILE_CHMOD, mode=0o104755), "changed the mode of /etc/x to 4755"),
        (file("/etc/x", Action.FILE_CHOWN), "changed the owner of /etc/x"),
        (file("/etc/x", Action.FILE_SYMLINK, target="../y"), "created the symlink /etc/x to ../y"),
        (file("/etc/x", Action.FILE_LINK, original="/work/y"), "linked /work/y as /etc/x"),
        (file("/etc/x", Action.FILE_RENAME, original="/work/y"), "renamed /work/y to /etc/x"),
    ],
)
def test_every_change_of_a_file_is_judged(files: RuleSet, made: Event, summary: str) -> None:
    (violation,) = files.judge(made)
    assert violation.summary == f"python3.11 (pid 7) {summary}, which the policy does not allow"
    assert matches((violation,)) == [("file.path", "/etc/x")]


def test_a_close_says_nothing_new(files: RuleSet) -> None:
    assert files.judge(file("/etc/x", Action.FILE_CLOSE)) == ()


def test_both_names_of_a_rename_and_of_a_link_are_judged(files: RuleSet) -> None:
    for action in (Action.FILE_RENAME, Action.FILE_LINK):
        out = files.judge(file("/work/new", action, original="/etc/old"))
        assert matches(out) == [("file.Ext.original.path", "/etc/old")]
        both = files.judge(file("/etc/new", action, original="/etc/old"))
        assert matches(both) == [("file.path", "/etc/new"), ("file.Ext.original.path", "/etc/old")]
        assert len(both) == 1


def test_an_attempt_that_was_refused_is_told_as_one(files: RuleSet) -> None:
    (violation,) = files.judge(file("/etc/shadow", error=errno.EACCES))
    assert violation.summary == (
        "python3.11 (pid 7) tried to open /etc/shadow for writing, which the policy does not allow;"
        " it was refused with EACCES"
    )
    (violation,) = files.judge(file("/etc/a/b", error=errno.ENOENT))
    assert violation.summary.endswith("; it failed with ENOENT")
    (violation,) = files.judge(file("/etc/x", Action.FILE_UNLINK, error=errno.EPERM))
    assert violation.summary.endswith(
        "tried to remove /etc/x, which the policy does not allow; it was refused with EPERM"
    )
    (violation,) = files.judge(file("/etc/x", error=512))
    assert violation.summary.endswith("; it failed with error 512")


@pytest.mark.parametrize(
    "made",
    [
        file("/etc", Action.FILE_MKDIR, error=errno.EEXIST),  # mkdir -p
        file("/etc/x", Action.FILE_UNLINK, error=errno.ENOENT),  # rm -f
        file("/etc/x/y", Action.FILE_RENAME, error=errno.ENOTDIR, original="/etc/z"),
    ],
)
def test_attempts_with_nothing_to_do_are_no_acts(files: RuleSet, made: Event) -> None:
    assert files.judge(made) == ()


def test_the_name_of_an_attempt_cannot_climb_out(files: RuleSet) -> None:
    assert broken(files.judge(file("/work/../etc/shadow", error=errno.EACCES)))
    assert broken(files.judge(file("/work/a/../../etc/shadow", error=errno.EACCES)))
    assert broken(files.judge(file("//etc//shadow", error=errno.EACCES)))
    assert files.judge(file("/work/a/../b/./.c", error=errno.EACCES)) == ()
    assert files.judge(file("/work/..a/.b", error=errno.EACCES)) == ()


def test_datagrams_without_a_connect(network: RuleSet) -> None:
    """Judged like a connect; what is said on a connection was judged with that."""
    assert network.judge(sent("10.2.3.4", 22)) == ()
    assert network.judge(spoke(22, Spoken("ssh"))) == ()
    (violation,) = network.judge(sent("203.0.113.66", 53))
    assert violation.rule.id == "network.connect"
    assert violation.summary == (
        "python3.11 (pid 7) sent to 203.0.113.66:53, which the policy does not allow"
    )


def test_connections(network: RuleSet) -> None:
    for fine in (
        connected("127.0.0.1", 80),
        connected("10.2.3.4", 22),
        connected("151.101.0.223", 443, "pypi.org"),
        connected_unix("/run/x"),
        connected_other(),
    ):
        assert network.judge(fine) == ()
    (violation,) = network.judge(connected("203.0.113.66", 22))
    assert violation.rule.id == "network.connect"
    assert violation.summary == (
        "python3.11 (pid 7) connected to 203.0.113.66:22, which the policy does not allow"
    )
    assert matches((violation,)) == [("destination.ip", "203.0.113.66"), ("destination.port", "22")]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (connected("2001:db8::1", 22), "connected to [2001:db8::1]:22, which"),
        (connected("151.101.0.223", 80, "pypi.org"), "connected to pypi.org (151.101.0.223:80), which"),
        (connected("192.0.2.1", 22, outcome=Outcome.UNKNOWN), "began to connect to 192.0.2.1:22, which"),
        (
            connected("192.0.2.1", 22, error=errno.ECONNREFUSED),
            "tried to connect to 192.0.2.1:22, which the policy does not allow; it failed with ECONNREFUSED",
        ),
    ],
)
def test_a_connect_is_an_act_whatever_came_of_it(network: RuleSet, made: Event, words: str) -> None:
    (violation,) = network.judge(made)
    assert words in violation.summary


STANDING = "; it was already open when the watch began"


def test_what_was_there_before_the_watch(files: RuleSet, network: RuleSet) -> None:
    """Judged like what is begun now, and told for what it is."""
    (violation,) = network.judge(connected("203.0.113.66", 22, snapshot=True))
    assert violation.summary == (
        f"python3.11 (pid 7) is connected to 203.0.113.66:22, which the policy does not allow{STANDING}"
    )
    (violation,) = files.judge(file("/etc/passwd", inherited=True, snapshot=True))
    assert violation.summary == (
        f"python3.11 (pid 7) has /etc/passwd open for writing, which the policy does not allow{STANDING}"
    )
    assert files.judge(file("/log", inherited=True, redirected=True, snapshot=True)) == ()
    assert network.judge(connected("10.2.3.4", 22, snapshot=True)) == ()


def test_unix_sockets_once_listed(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, 'network: {connect: ["unix:/run/ok"]}')
    assert rules.judge(connected_unix("/run/ok")) == ()
    (violation,) = rules.judge(connected_unix("/run/docker.sock"))
    assert matches((violation,)) == [("destination.address", "/run/docker.sock")]
    assert "connected to /run/docker.sock, which" in violation.summary


@pytest.mark.parametrize(
    "path", ["/usr/bin/git", "/tmp/git", "/usr/bin/python3.11", "/opt/tools/x/y", "/opt/tools/good"]
)
def test_programs_that_may_run(programs: RuleSet, path: str) -> None:
    assert programs.judge(ran("x", path=path)) == ()


@pytest.mark.parametrize(
    "path",
    ["/usr/bin/gitx", "/usr/bin/xgit", "/opt/tools/bad", "/usr/bin/pythonw", "/git/sh", "/memfd:git", ""],
)
def test_programs_that_may_not(programs: RuleSet, path: str) -> None:
    who = process(path, ("x", "-y"), pid=9)
    (violation,) = programs.judge(ran("x", "-y", path=path or "/", who=who))
    assert violation.rule.id == "process.exec"
    assert matches((violation,)) == [("process.executable", path or "/")]


def test_a_program_that_may_not_run_is_named(programs: RuleSet) -> None:
    (violation,) = programs.judge(ran("nc", "-l", "99"))
    assert violation.summary == "nc (pid 4302) ran nc -l 99, which the policy does not allow"
    (violation,) = programs.judge(ran("nc", "-l", "99", snapshot=True))
    assert violation.summary == "nc (pid 4302) is running nc -l 99, which the policy does not allow"
    (violation,) = programs.judge(ran("nc", "-l", error=errno.EACCES))
    assert violation.summary == (
        "python3.11 (pid 7) tried to run nc -l, which the policy does not allow; it was refused with EACCES"
    )
    assert matches((violation,)) == [("file.path", "/usr/bin/nc")]


def test_a_look_along_the_path_is_no_attempt(programs: RuleSet) -> None:
    assert programs.judge(ran("nc", path="/usr/local/bin/nc", error=errno.ENOENT)) == ()
    assert programs.judge(ran("nc", path="/usr/local/bin/nc", error=errno.ENOTDIR)) == ()


def test_a_bare_name_is_no_pass_for_what_the_sandbox_may_write_itself(tmp_path: Path) -> None:
    policy = 'files: {write: [/work/**, "!/work/bin/**"]}\nprocess: {exec: [git, /work/tools/*]}\n'
    rules = rules_of(tmp_path, policy)
    assert rules.judge(ran("/usr/bin/git", path="/usr/bin/git")) == ()
    assert rules.judge(ran("/work/tools/git", path="/work/tools/git")) == ()
    assert rules.judge(ran("/work/bin/git", path="/work/bin/git")) == ()
    assert broken(rules.judge(ran("/work/git", path="/work/git"))) == ["Program not allowed"]


def test_an_empty_list_allows_nothing(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "files: {write: []}\nnetwork: {connect: []}\nprocess: {exec: []}\n")
    assert broken(rules.judge(file("/tmp/x"))) == ["File change not allowed"]
    assert broken(rules.judge(connected("127.0.0.1", 1))) == ["Connection not allowed"]
    assert broken(rules.judge(ran("true"))) == ["Program not allowed"]
    assert rules.judge(file("/dev/null")) == ()


def test_a_section_that_is_not_there_is_not_judged(files: RuleSet, network: RuleSet) -> None:
    assert files.judge(connected("203.0.113.66", 22)) == ()
    assert files.judge(ran("nc")) == ()
    assert network.judge(file("/etc/passwd")) == ()
    assert files.judge(event(Action.EXIT, Exit(0, 9))) == ()
    assert files.judge(event(Action.FORK, None)) == ()


MOUNTS = """\
files:
  write: [/work/**]
  mounts: [bwrap, /work/unshare]
"""


def mounted(action: Action = Action.MOUNT, *flags: str, error: int = 0, who: Process = AGENT) -> Event:
    return bounded(action, flags=flags, path="/work/b", source="/etc", error=error, who=who)


@pytest.mark.parametrize(
    "made",
    [
        mounted(),
        mounted(Action.MOUNT, "MS_BIND", "MS_PRIVATE"),
        mounted(Action.MOUNT, "MS_MOVE"),
        mounted(error=errno.EPERM),
        mounted(Action.UMOUNT, "MNT_DETACH"),
        mounted(Action.PIVOT_ROOT),
        mounted(Action.CHROOT),
        mounted(Action.MOVE_MOUNT),
        mounted(Action.FSMOUNT),
        mounted(Action.OPEN_TREE, "OPEN_TREE_CLONE"),
        mounted(Action.SETNS, "CLONE_NEWNS", "CLONE_NEWPID"),
    ],
)
def test_what_makes_paths_lead_elsewhere(
    made: Event, files: RuleSet, programs: RuleSet, tmp_path: Path
) -> None:
    for rules in (files, programs, rules_of(tmp_path, MOUNTS)):
        (violation,) = rules.judge(made)
        assert (violation.rule.id, violation.rule.name) == ("files.mounts", "Mount not allowed")
        assert matches((violation,)) == [
            ("event.action", made.action),
            ("rubicon.boundary.path", "/work/b"),
        ]
        why = "which the policy does not allow: a path may then lead to another file than it names"
        assert violation.summary.removesuffix("; it was refused with EPERM").endswith(why)
        assert rules.judge(file("/work/x")) == () or rules is programs


@pytest.mark.parametrize(
    "made",
    [
        mounted(error=errno.ENOENT),
        mounted(Action.MOUNT, "MS_REC", "MS_PRIVATE"),
        mounted(Action.MOUNT, "MS_REMOUNT", "MS_BIND", "MS_RDONLY"),
        mounted(Action.MOVE_MOUNT, "MOVE_MOUNT_SET_GROUP"),
        mounted(Action.OPEN_TREE),
        mounted(Action.FSOPEN),
        mounted(Action.MOUNT_SETATTR),
        mounted(Action.SETNS, "CLONE_NEWNET"),
        mounted(Action.UNSHARE, "CLONE_NEWNS"),
    ],
)
def test_what_leaves_paths_as_they_are(made: Event, files: RuleSet) -> None:
    assert files.judge(made) == ()


def test_a_policy_that_judges_no_paths_has_nothing_against_mounts(network: RuleSet, tmp_path: Path) -> None:
    assert network.judge(mounted()) == ()
    (violation,) = rules_of(tmp_path, "files: {mounts: []}").judge(mounted())
    assert violation.rule.id == "files.mounts"


def test_who_may_mount(tmp_path: Path) -> None:
    """Only what comes from nothing else than these programs; and none that the sandbox could have written."""
    rules = rules_of(tmp_path, MOUNTS)

    def may(executable: str, *earlier: str) -> bool:
        return rules.judge(mounted(who=replace(process(executable), earlier=earlier))) == ()

    assert may("/usr/bin/bwrap")
    assert may("/work/unshare", "/usr/bin/bwrap")
    assert not may("/work/bwrap")
    assert not may("/usr/bin/mount")
    assert not may("/usr/bin/bwrap", "/usr/bin/bwrap", "/usr/bin/python3.11")
    assert not may("/usr/bin/bwrap", *["/usr/bin/bwrap"] * EARLIER_KEPT)
    assert rules_of(tmp_path, "files: {mounts: [/**]}").judge(mounted()) == ()


def test_where_the_output_was_sent_before_the_watch_is_the_operators_business(files: RuleSet) -> None:
    assert files.judge(file("/log", inherited=True, redirected=True, descriptor=7)) == ()
    assert len(files.judge(file("/log", inherited=True, descriptor=1))) == 1
    assert len(files.judge(file("/log", descriptor=1))) == 1
