"""scripts/matrix_run.py: what becomes of the files that a virtual machine leaves, and of the machine."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "scripts/matrix_run.py"
REPORT = """<?xml version="1.0"?><testsuites><testsuite tests="7" failures="1" errors="1" skipped="2">
<testcase classname="tests.kernel.test_file" name="test_a"/>
<testcase classname="tests.kernel.test_file" name="test_b"><failure message="m">text</failure></testcase>
<testcase classname="tests.kernel.test_file" name="test_c"><error message="m">text</error></testcase>
<testcase classname="tests.kernel.test_file" name="test_d"><skipped message="m"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix_run", PROGRAM)
    assert spec
    assert spec.loader
    module = sys.modules["matrix_run"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_passed_and_failed(matrix: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    (tmp_path / "doctor.json").write_text(json.dumps({"tier": "B", "loader": "core"}))
    result = matrix.read_result("6.1.0-56-amd64", tmp_path, 239.6, ended=True)
    assert (result.passed, result.failed, result.skipped, result.fine) == (3, 2, 2, False)
    heading, row, *failed = matrix.table([result])
    assert heading.split() == ["kernel", "tier", "loader", "passed", "failed", "skipped", "seconds"]
    assert row.split() == ["6.1.0-56-amd64", "B", "core", "3", "2", "2", "240"]
    assert failed == ["  failed: tests.kernel.test_file::test_b", "  failed: tests.kernel.test_file::test_c"]


def test_all_passed(matrix: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text('<testsuites><testsuite tests="7" skipped="2"/></testsuites>')
    result = matrix.read_result("6.12", tmp_path, 1.0, ended=True)
    assert (result.passed, result.failed, result.fine, result.why) == (5, 0, True, ())


def test_a_tier_that_was_skipped_did_not_pass(matrix: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text('<testsuites><testsuite tests="7" skipped="7"/></testsuites>')
    assert not matrix.read_result("6.12", tmp_path, 1.0, ended=True).fine


@pytest.mark.parametrize(("ended", "said"), [(True, "ended before the tests"), (False, "not end in time")])
@pytest.mark.parametrize("left", [{}, {"report.xml": "<torn", "console": "Kernel panic\n"}])
def test_a_machine_that_left_no_report(
    left: dict[str, str], ended: bool, said: str, matrix: ModuleType, tmp_path: Path
) -> None:
    for name, text in left.items():
        (tmp_path / name).write_text(text)
    result = matrix.read_result("6.1", tmp_path, 1.0, ended=ended)
    assert not result.fine
    assert said in result.why[0]
    assert ("Kernel panic" in result.why) is bool(left)


def test_a_kernel_that_cannot_be_had(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says so, and fails only who asked for it."""
    monkeypatch.setattr(matrix, "KERNELS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for asked in (True, False):
        result = matrix.try_kernel("6.1", 1.0, (), asked=asked)
        assert result.fine is not asked
        assert result.why[0].startswith("not run: ")


def test_all_of_a_machine_ends(matrix: ModuleType) -> None:
    program = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo up; sleep 600; :'])"
    with subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        assert machine.stdout.readline() == b"up\n"
        matrix.end(machine)
        assert machine.stdout.read() == b""  # nobody holds the other end any more
    assert machine.returncode == -9
