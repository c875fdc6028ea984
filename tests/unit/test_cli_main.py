"""The command line's shell: which command runs, what errors look like, and the exit status."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from tracer import cli
from tracer.errors import KernelError, Problem, RuleFileError, TargetError

ROOT = Path(__file__).parents[2]
MAIN = [sys.executable, "-I", str(ROOT / "tracer/cli/__main__.py")]

Command = Callable[[argparse.Namespace], int]


@pytest.fixture
def verify_does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Command], None]:
    """Replaces what `rubicon verify` does, by a module of the shape every command has."""

    def replace(handler: Command) -> None:
        def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
            parser = subparsers.add_parser("verify")
            parser.add_argument("words", nargs="*")
            parser.set_defaults(handler=handler)

        module = types.ModuleType("tracer.cli.verify")
        vars(module)["register"] = register
        monkeypatch.setitem(sys.modules, "tracer.cli.verify", module)

    return replace


def fails(error: BaseException) -> Command:
    def handler(_args: argparse.Namespace) -> int:
        raise error

    return handler


def test_status_of_the_command(verify_does: Callable[[Command], None]) -> None:
    verify_does(lambda args: len(args.words))
    assert cli.main(["verify", "a", "b", "c"]) == 3


@pytest.mark.parametrize(("error", "status"), [(TargetError("no pid 7"), 2), (KernelError("no pid 7"), 1)])
def test_known_errors_are_one_line(
    error: Exception,
    status: int,
    verify_does: Callable[[Command], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    verify_does(fails(error))
    assert cli.main(["verify"]) == status
    assert capsys.readouterr() == ("", "rubicon: no pid 7\n")


def test_rule_errors_are_a_line_each(
    verify_does: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [Problem(Path("p.yaml"), line, "files", "no such field") for line in (3, 5)]
    verify_does(fails(RuleFileError(problems)))
    assert cli.main(["verify"]) == 2
    assert capsys.readouterr().err == (
        "rubicon: p.yaml:3: files: no such field\nrubicon: p.yaml:5: files: no such field\n"
    )


def test_a_message_cannot_move_the_cursor(
    verify_does: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verify_does(fails(TargetError("no \x1b[2J \udcff")))
    cli.main(["verify"])
    assert capsys.readouterr().err == "rubicon: no \\x1b[2J \\xff\n"


def test_interrupt(verify_does: Callable[[Command], None], capsys: pytest.CaptureFixture[str]) -> None:
    verify_does(fails(KeyboardInterrupt()))
    assert cli.main(["verify"]) == 130
    assert capsys.readouterr() == ("", "")


def test_internal_error_is_one_line(
    verify_does: Callable[[Command], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RUBICON_DEBUG", raising=False)
    verify_does(fails(ValueError("seven\nis odd")))
    assert cli.main(["verify"]) == 1
    assert capsys.readouterr().err == (
        "rubicon: internal error: ValueError: seven is odd (RUBICON_DEBUG=1 shows the traceback)\n"
    )


def test_internal_error_with_its_traceback(
    verify_does: Callable[[Command], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUBICON_DEBUG", "1")
    verify_does(fails(ValueError("odd")))
    assert cli.main(["verify"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("rubicon: internal error: ValueError: odd (traceback above)\n")


def test_a_broken_pipe_elsewhere_is_an_error(
    verify_does: Callable[[Command], None], capfd: pytest.CaptureFixture[str]
) -> None:
    verify_does(fails(BrokenPipeError(32, "Broken pipe")))
    assert cli.main(["verify"]) == 1
    assert "internal error: BrokenPipeError" in capfd.readouterr().err


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["verify"], ["verify", "--nonsense", "x"]])
def test_bad_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert "usage: rubicon" in capsys.readouterr().err


def test_help_lists_every_command_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [words[0] for words in lines if len(words) == 2 and words[0] in cli.COMMANDS] == list(cli.COMMANDS)


def start(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAIN, *argv], text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_version() -> None:
    done = start("--version", capture_output=True)
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "rubicon", "")


def test_quiet_when_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = start("verify", "--help", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_full_disk_under_stdout() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = start("verify", "--help", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "rubicon: cannot write to stdout: No space left on device\n"


CLOSED = """
import os, sys
from tracer.cli import main
main(["verify", "/"])
places = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
sys.exit(places != ["/dev/null"] * 3 or any(map(os.get_inheritable, range(3))))
"""


def test_no_file_of_ours_gets_the_number_of_a_closed_stream() -> None:
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", CLOSED]
    assert subprocess.run(closed, check=False).returncode == 0


def test_closed_stdout() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *MAIN, "verify", "/"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_python_leaves_the_environment_alone() -> None:
    """In a C locale Python sets LC_CTYPE for itself and all it starts; ours does not pass that on."""
    program = (
        f"import runpy, os, sys; sys.argv = ['rubicon', '--version']\n"
        f"try: runpy.run_path({MAIN[-1]!r}, run_name='__main__')\n"
        f"except SystemExit: os.execv('/usr/bin/env', ['env'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], env={"LANG": "C"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1:] == ["LANG=C"]
