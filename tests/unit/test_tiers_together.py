"""scripts/test: which tiers one call runs, in which order, and what becomes of the machines beside them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "scripts/test"
# Python here only writes down what it was to run, and fails where it is told to.
PYTHON = """#!/bin/sh
echo "$*" >>"$PWD/ran"
case "$*" in *"${FAILING:-nothing}"*) exit 1 ;; esac
"""
MATRIX = """#!/bin/bash
echo "matrix $*" >>"$PWD/ran"
echo $$ >"$PWD/matrix.pid"
echo "kernel table"
[ -z "${ENDLESS:-}" ] || exec sleep 600
exit "${MATRIX_STATUS:-0}"
"""
LIGHT = "-m pytest tests/unit tests/golden tests/fuzz tests/tui"
BCC = "-m pytest tests/kernel -m not heavy"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in {
        "scripts/setup": "#!/bin/sh\n",
        "scripts/matrix": MATRIX,
        ".venv/bin/python": PYTHON,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".setup").mkdir()
    shutil.copy(PROGRAM, tmp_path / "scripts/test")
    return tmp_path


def run(
    checkout: Path, *arguments: str, **environment: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """How it ended, and the runs of pytest in their order; the matrix begins beside them."""
    argv = [str(checkout / "scripts/test"), *arguments]
    done = subprocess.run(
        argv, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )
    ran = (checkout / "ran").read_text().splitlines()
    return done, [each for each in ran if "pytest" in each]


def test_all_of_them_by_default(checkout: Path) -> None:
    done, ran = run(checkout)
    assert ran == [LIGHT, "-m pytest tests/kernel tests/scenario", BCC]
    assert done.returncode == 0
    assert "matrix --short" in (checkout / "ran").read_text()
    light, probes = done.stdout.index("== pytest\n"), done.stdout.index("== pytest, with probes\n")
    assert light < done.stdout.index("== matrix\nkernel table\n") < probes


def test_what_is_asked_for_is_one_run(checkout: Path) -> None:
    assert run(checkout, "unit", "scenario", "--", "-k", "name")[1] == [
        "-m pytest tests/unit tests/scenario -k name"
    ]
    assert "matrix" not in (checkout / "ran").read_text()


def test_options_for_pytest_leave_the_machines_out(checkout: Path) -> None:
    _, ran = run(checkout, "--", "-x")
    assert ran == [f"{LIGHT} tests/kernel tests/scenario -x", f"{BCC} -x"]
    assert "matrix" not in (checkout / "ran").read_text()


@pytest.mark.parametrize(
    ("environment", "failed"),
    [
        ({"MATRIX_STATUS": "1"}, "matrix"),
        ({"FAILING": "tests/unit"}, "pytest"),
        ({"FAILING": "mypy"}, "mypy"),
    ],
)
def test_one_that_fails_fails_the_run_and_stops_no_other(
    checkout: Path, environment: dict[str, str], failed: str
) -> None:
    done, ran = run(checkout, **environment)
    assert (done.returncode, len(ran)) == (1, 3)
    assert done.stdout.splitlines()[-1] == f"failed: {failed}"


def test_the_machines_end_with_it(checkout: Path) -> None:
    os.mkfifo(checkout / "matrix.pid")
    argv = [str(checkout / "scripts/test"), "matrix"]
    with subprocess.Popen(argv, env=os.environ | {"ENDLESS": "yes"}, stdout=subprocess.DEVNULL) as testing:
        machine = int((checkout / "matrix.pid").read_text())
        testing.send_signal(signal.SIGTERM)
        assert testing.wait(60) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(machine, 0)
