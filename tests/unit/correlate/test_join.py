"""Calls and programs that ran, joined by text, order and time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tracer.correlate.calls import Call, Ran
from tracer.correlate.clocks import Seen, Skew, estimate
from tracer.correlate.commands import programs, script_of
from tracer.correlate.join import By, Joined, join
from tracer.correlate.steps import records

SECOND = 1_000_000_000
T = 1_767_225_600 * SECOND
BOOT = T - 1_000 * SECOND
SHELL = (50, 7)


def call(step: str, command: str = "", at: float = 0, until: float = 0) -> Call:
    """At seconds by the agent's clock, 0 where that is not told."""
    times = [T + int(each * SECOND) if each else 0 for each in (at, until)]
    return Call(step, command, begin_ns=times[0], end_ns=times[1])


def ran(pid: int, at: float, *args: str, until: float = 0, parent: tuple[int, int] | None = SHELL) -> Ran:
    ended = T + int(until * SECOND) if until else 0
    return Ran((pid, pid * 10), parent, T + int(at * SECOND), ended, args)


def sh(pid: int, at: float, command: str, until: float = 0) -> Ran:
    return ran(pid, at, "/bin/sh", "-c", command, until=until, parent=(1, 1))


def summary(found: Sequence[Joined]) -> list[tuple[str, list[int], str, int]]:
    return [
        (each.call.step, [ran.process[0] for ran in each.rans], each.by.value, each.confidence)
        for each in found
    ]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls -l", [("ls", "-l")]),
        ("cd /x && A=1 /usr/bin/make -j2 2>&1 | tail -n 5 >out", [
            ("cd", "/x"), ("make", "-j2"), ("tail", "-n", "5"),
        ]),
        ("if true; then\n  git commit -m 'a b'\nfi", [("true",), ("git", "commit", "-m", "a b"), ("fi",)]),
        ("(sleep 5 &) ; echo 'no end", [("sleep", "5"), ("echo", )]),
        ("A=1", []),
        ("", []),
    ],
)  # fmt: skip
def test_programs_of_a_command(command: str, expected: list[tuple[str, ...]]) -> None:
    assert programs(command)[: len(expected)] == expected


def test_script_of_an_interpreter() -> None:
    assert script_of(("bash", "-lc", " ls \n")) == "ls"
    assert script_of(("/bin/bash", "-c", "-l", "ls", "x")) == "ls"
    assert script_of(("python3", "-I", "-c", "print()")) == "print()"
    assert script_of(("gcc", "-c", "a.c")) == "a.c"
    assert (script_of(("sh", "a")), script_of(("sh", "-c")), script_of(())) == ("", "", "")


def test_the_whole_script_of_a_shell() -> None:
    rans = [sh(101, 1.1, "ls -l"), ran(102, 1.2, "ls", "-l"), sh(103, 5.1, "pwd")]
    found, skew = join([call("1", "ls -l", 1), call("2", "pwd", 5)], rans)
    assert summary(found) == [("1", [101], "script", 99), ("2", [103], "script", 99)]
    assert skew == Skew(100_000_000, 1)


def test_within_the_script_that_an_agent_makes_of_it() -> None:
    """With what it puts around it, quoted once more; but no part of a word."""
    command = "echo 'a b' >out"
    wrapped = "shopt -u extglob; eval 'echo '\\''a b'\\'' >out' < /dev/null && pwd -P >| /tmp/cwd"
    rans = [sh(100, 0.5, "echo 'a b' >output"), sh(101, 1, wrapped), sh(102, 2, f"source x; {command}")]
    found, _ = join([call("1", command, 1), call("2", command, 2)], rans)
    assert summary(found) == [("1", [101], "script", 95), ("2", [102], "script", 95)]


def test_a_command_given_again_and_again_goes_by_order() -> None:
    """Without any time; one that ran between is nobody's, so two fit a place."""
    calls = [call("1", "make"), call("2", "ls"), call("3", "make"), call("4", "gone"), call("5", "make")]
    rans = [sh(101, 1, "make"), sh(102, 2, "ls"), sh(103, 3, "make"), sh(104, 4, "make")]
    found, skew = join(calls, rans)
    assert summary(found) == [
        ("1", [101], "script", 89),
        ("2", [102], "script", 89),
        ("3", [103], "script", 89),
        ("5", [104], "script", 89),
    ]
    assert skew is None
    found, _ = join(calls[:2], [sh(101, 1, "make"), *rans])
    assert summary(found)[0][3] == 59, "either of two"


def test_clocks_that_are_hours_apart() -> None:
    """Also where a command of the same text ran at another time: nearness prefers, and tells."""
    hours = -7 * 3600
    calls = [call(str(n), "make" if n % 2 else f"run {n}", n * 10, n * 10 + 2) for n in range(1, 21)]
    rans = [
        sh(100 + n, n * 10 + hours + 0.3, each.command, n * 10 + hours + 1.9)
        for n, each in enumerate(calls, 1)
    ]
    stray = [sh(90, hours - 900, "make"), sh(91, hours + 900, "make")]
    found, skew = join(calls, [stray[0], *rans, stray[1]])
    assert [each.rans[0].process[0] for each in found] == list(range(101, 121))
    assert {each.confidence for each in found} == {99}
    assert skew is not None
    assert abs(skew.add_ns - hours * SECOND) <= skew.within_ns < SECOND


def test_calls_at_once_that_ran_in_another_order() -> None:
    calls = [
        call("1", "slow", 1, 9),
        call("2", "quick", 1, 3),
        call("3", "third", 1, 5),
        call("4", "end", 20),
    ]
    rans = [
        sh(103, 1.1, "third", 5),
        sh(102, 1.2, "quick", 2.9),
        sh(101, 1.3, "slow", 9),
        sh(104, 20.1, "end"),
    ]
    found, _ = join(calls, rans)
    assert summary(found) == [
        ("1", [101], "script", 99),
        ("2", [102], "script", 99),
        ("3", [103], "script", 99),
        ("4", [104], "script", 99),
    ]


def test_a_shell_that_is_kept_for_all_calls() -> None:
    calls = [
        call("1", "cd /x && git status | tee a"),
        call("2", "echo >f"),
        call("3", "make all; make check"),
    ]
    rans = [
        ran(101, 1, "git", "status", until=2),
        ran(102, 1, "tee", "a", until=2.5),
        ran(103, 5, "/usr/bin/make", "all", until=6),
        ran(104, 5.5, "cc", "-c", "x.c", until=6, parent=(103, 1030)),
        ran(105, 6, "make", "check", until=8),
    ]
    found, skew = join(calls, rans)
    assert summary(found) == [("1", [101, 102], "program", 76), ("3", [103, 105], "program", 76)]
    assert shown(records(found, skew, BOOT)) == [
        ("begin", "1", 1001.0, SHELL, 76),
        ("end", "1", 1002.5, None, None),
        ("begin", "3", 1002.5, SHELL, 76),
    ], "what the shell does by itself after one call has ended is of the next"


def test_what_no_program_fits_goes_by_its_time() -> None:
    """Of a shell that is kept, or of all that is watched."""
    calls = [call("1", "ls", 1, 2), call("2", "echo >f", 3, 4), call("3", "ls", 5, 6)]
    rans = [ran(101, 1.1, "ls", until=1.2), ran(103, 5.1, "ls", until=5.2)]
    found, skew = join(calls, rans)
    assert summary(found) == [("1", [101], "program", 60), ("2", [], "time", 40), ("3", [103], "program", 60)]
    made = [each for each in shown(records(found, skew, BOOT)) if each[:2] == ("begin", "2")]
    assert made == [("begin", "2", pytest.approx(1003, abs=0.6), SHELL, 40)]
    found, skew = join([call("1", "true x", 1, 2), call("2", "", 3, 4)], [sh(101, 1.1, "true x", 1.9)])
    assert summary(found) == [("1", [101], "script", 99), ("2", [], "time", 40)]
    (begin,) = [each for each in shown(records(found, skew, BOOT)) if each[:2] == ("begin", "2")]
    assert begin[3] is None


def test_a_step_of_its_own_shell_lives_as_long_as_that() -> None:
    found, skew = join([call("1", "a b", 1)], [sh(101, 1.1, "a b", 7)])
    assert shown(records(found, skew, BOOT)) == [
        ("begin", "1", 1001.1, (101, 1010), 99),
        ("end", "1", 1007.0, None, None),
    ]


def test_nothing_fits() -> None:
    assert join([call("1", "ls")], []) == ([], None)
    assert join([], [sh(101, 1, "ls")]) == ([], None)
    assert join([call("1", "ls", 5)], [sh(101, 1, "pwd")]) == ([], None), "no clock to go by"


def test_hundreds_of_each() -> None:
    """The same command all the time is the worst: each call fits each program."""
    calls = [call(str(n), "make" if n % 3 else "ls", n, n + 0.5) for n in range(1, 600)]
    rans = [sh(1_000 + n, n + 0.1, each.command, n + 0.4) for n, each in enumerate(calls, 1)]
    found, _ = join(calls, rans)
    assert [each.rans[0].process[0] - 1_000 for each in found] == list(range(1, 600))


@pytest.mark.parametrize(
    ("seen", "skew"),
    [
        ([], None),
        ([Seen(100, 130)], Skew(30, 1)),
        ([Seen(100, 130, 200, 190), Seen(300, 350, 400, 385)], Skew(10, 20)),
        ([Seen(100, 130), Seen(200, 10**15), Seen(300, 340), Seen(400, 410)], Skew(10, 25)),
        ([Seen(100, 130, 200, 900)], Skew(30, 1)),
    ],
)
def test_the_estimate_of_the_skew(seen: list[Seen], skew: Skew | None) -> None:
    assert estimate(seen) == skew


def shown(made: Sequence[dict[str, object]]) -> list[tuple[object, ...]]:
    """Seconds since boot."""
    return [
        (
            each["op"],
            each["step"],
            int(str(each["time_ns"])) / SECOND,
            (each["pid"], each["start_ns"]) if "pid" in each else None,
            each.get("confidence"),
        )
        for each in made
    ]


def test_words() -> None:
    assert [each.value for each in By] == ["script", "program", "time"]
