"""scripts/matrix_run.py: what becomes of the files that a virtual machine leaves, and of the machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import matrix_run
import pytest

PROGRAM = Path(__file__).parents[2] / "scripts/matrix_run.py"
REPORT = """<?xml version="1.0"?><testsuites><testsuite tests="7" failures="1" errors="1" skipped="2">
<testcase classname="tests.kernel.test_file" name="test_a"/>
<testcase classname="tests.kernel.test_file" name="test_b"><failure message="m">text</failure></testcase>
<testcase classname="tests.kernel.test_file" name="test_c"><error message="m">text</error></testcase>
<testcase classname="tests.kernel.test_file" name="test_d"><skipped message="m"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(matrix_run, "RESULTS", tmp_path)
    monkeypatch.setattr(matrix_run, "KERNELS", tmp_path)
    return matrix_run


@pytest.fixture
def read(matrix: ModuleType) -> Callable[..., Any]:
    """The result of a row that left those files."""

    def read(version: str, left: dict[str, str], *, ended: bool = True) -> Any:
        row = matrix.Row(version, "B", "core")
        row.folder.mkdir()
        for name, text in left.items():
            (matrix.console_of(row) if name == "console" else row.folder / name).write_text(text)
        return matrix.read_result(row, f"{version}.0-56-amd64", ended=ended)

    return read


def test_what_passed_and_failed(matrix: ModuleType, read: Callable[..., Any]) -> None:
    result = read(
        "6.1", {"report.xml": REPORT, "doctor.json": json.dumps({"problem": ""}), "seconds": "240\n"}
    )
    assert (result.passed, result.failed, result.skipped, result.fine) == (3, 2, 2, False)
    heading, row, *failed = matrix.table([result])
    assert heading.split() == ["kernel", "tier", "loader", "passed", "failed", "skipped", "seconds"]
    assert row.split() == ["6.1.0-56-amd64", "B", "core", "3", "2", "2", "240"]
    assert failed == ["  failed: tests.kernel.test_file::test_b", "  failed: tests.kernel.test_file::test_c"]


def test_all_passed(read: Callable[..., Any]) -> None:
    result = read("6.12", {"report.xml": '<testsuites><testsuite tests="7" skipped="2"/></testsuites>'})
    assert (result.passed, result.failed, result.fine, result.why) == (5, 0, True, ())


def test_a_tier_that_was_skipped_did_not_pass(read: Callable[..., Any]) -> None:
    assert not read(
        "6.12", {"report.xml": '<testsuites><testsuite tests="7" skipped="7"/></testsuites>'}
    ).fine


@pytest.mark.parametrize(("ended", "said"), [(True, "ended before the tests"), (False, "not end in time")])
@pytest.mark.parametrize("left", [{}, {"report.xml": "<torn", "console": "Kernel panic\n"}])
def test_a_machine_that_left_no_report(
    left: dict[str, str], ended: bool, said: str, read: Callable[..., Any]
) -> None:
    result = read("6.1", left, ended=ended)
    assert not result.fine
    assert said in result.why[0]
    assert ("Kernel panic" in result.why) is bool(left)


def test_a_kernel_that_is_too_old_is_to_be_refused(
    matrix: ModuleType, read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "REFUSES", {"5.10"})
    problem = {"doctor.json": json.dumps({"problem": "this kernel is too old"})}
    for version, fine in (("5.10", True), ("6.1", False)):
        result = read(version, problem)
        assert (result.fine, result.why) == (fine, ("refused: this kernel is too old",))


def test_a_kernel_that_cannot_be_had(
    matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says so, and fails only who asked for it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    limits = matrix.Limits(1.0, 1.0, time.monotonic())
    for asked in (True, False):
        results = matrix.try_rows(matrix.rows_of(["6.1/B"]), limits, (), asked=asked)
        assert [each.fine for each in results] == [not asked] * 3
        assert all(each.why[0].startswith("not run: apt-get: ") for each in results)


def test_what_there_was_no_time_for(matrix: ModuleType, read: Callable[..., Any]) -> None:
    """Before the machine is booted, or in it."""
    limits = matrix.Limits(1.0, 1.0, time.monotonic() - 1.0)
    results = [*matrix.try_rows(matrix.rows_of(["6.1"]), limits, (), asked=True), read("6.12", {"late": ""})]
    assert [(each.fine, each.why) for each in results] == [(True, (f"not run: {matrix.TOO_LATE}",))] * 5


def test_each_kernel_has_its_share_of_the_time(matrix: ModuleType) -> None:
    limits = matrix.Limits(60.0, 900.0, time.monotonic() - 300.0)
    assert 299.0 < limits.share(2).left <= 300.0
    assert limits.share(2).row == 60.0
    assert matrix.Limits(60.0, 1.0, time.monotonic() - 3.0).share(2).left < 0


def test_what_can_be_asked_for(matrix: ModuleType) -> None:
    def rows(*wanted: str) -> list[str]:
        return [f"{each.version}/{each.tier}/{each.loader}" for each in matrix.rows_of(wanted)]

    assert rows("6.1/B", "6.12/A") == ["6.1/B/core", "6.1/B/bcc", "6.1/B/headers", "6.12/A/core"]
    assert rows("host", "6.1/A", "6.12/A", "6.1/A/core") == [
        *("host/best/core", "host/B/bcc"),
        *("6.1/A/core", "6.12/A/core"),
    ]
    assert rows("5.10") == ["5.10/best/core"]  # all are refused
    for wrong in ("4.4", "6.1/C", "6.1/A/bcc", "6.1/A/core/x"):
        with pytest.raises(ValueError, match=f"no {wrong}: there is 6.1/A/core "):
            rows(wrong)


def test_this_machine_takes_the_loader_of_each_row(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaders = []

    def run(argv: list[object], *, env: dict[str, str], **_: object) -> None:
        if "pytest" in argv:
            loaders.append(env["RUBICON_TEST_LOADER"])

    monkeypatch.setattr(matrix.subprocess, "run", run)
    for row in matrix.rows_of(["host"]):
        matrix.try_here(row, ())
    assert loaders == ["core", "bcc"]


def test_all_of_a_machine_ends(matrix: ModuleType) -> None:
    program = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo up; sleep 600; :'])"
    with subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        assert machine.stdout.readline() == b"up\n"
        matrix.end(machine)
        assert machine.stdout.read() == b""  # nobody holds the other end any more
    assert machine.returncode == -9


def test_the_short_matrix_has_each_kernel_tier_and_loader(matrix: ModuleType) -> None:
    rows = matrix.rows_of(matrix.SHORT_ROWS)
    assert {each.version for each in rows} == set(matrix.PACKAGES) - matrix.REFUSES
    assert {(each.tier, each.loader) for each in rows} == {("A", "core"), ("B", "bcc"), ("B", "headers")}
