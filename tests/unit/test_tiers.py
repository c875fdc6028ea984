"""tests/conftest.py: tiers are the folders, and a privileged tier cannot fall silent in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
CONFIG = "[pytest]\naddopts = -ra --strict-markers --import-mode=importlib\nmarkers =\n" + "".join(
    f"    {tier}\n" for tier in ("unit", "golden", "tui", "fuzz", "kernel", "scenario")
)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A test suite of its own, under this one's conftest."""
    (tmp_path / "pytest.ini").write_text(CONFIG)
    for tier in ("unit", "kernel"):
        (tmp_path / "tests" / tier).mkdir(parents=True)
    shutil.copy(CONFTEST, tmp_path / "tests/conftest.py")
    (tmp_path / "tests/unit/test_it.py").write_text("def test_it(): pass\n")
    return tmp_path


def run(suite: Path, *, capable: bool, ci: bool) -> subprocess.CompletedProcess[str]:
    conftest = suite / "tests/conftest.py"
    reason = "" if capable else "needs root"
    conftest.write_text(conftest.read_text() + f"\n\ndef why_not_privileged(): return {reason!r}\n")
    env = {name: value for name, value in os.environ.items() if name != "CI"} | ({"CI": "true"} if ci else {})
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    return subprocess.run(argv, cwd=suite, env=env, capture_output=True, text=True, check=False)


def skipping(suite: Path, reason: str) -> None:
    (suite / "tests/kernel/test_probes.py").write_text(
        f"import pytest\ndef test_probe(): pytest.skip({reason!r})\n"
    )


@pytest.mark.parametrize("ci", [True, False])
def test_a_machine_that_cannot_skips_and_says_why(suite: Path, ci: bool) -> None:
    (suite / "tests/kernel/test_probes.py").write_text("def test_probe(): assert False\n")
    done = run(suite, capable=False, ci=ci)
    assert done.returncode == 0, done.stdout
    assert "kernel tier: needs root" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_markers_follow_the_folders(suite: Path) -> None:
    (suite / "tests/unit/test_marker.py").write_text(
        "def test_marker(request): assert [mark.name for mark in request.node.iter_markers()] == ['unit']\n"
    )
    assert run(suite, capable=True, ci=False).returncode == 0


def test_a_skip_fails_ci_where_it_could_have_run(suite: Path) -> None:
    skipping(suite, "did not feel like it")
    done = run(suite, capable=True, ci=True)
    assert done.returncode == 1
    assert "it: tests/kernel/test_probes.py::test_probe: did not feel like it" in done.stdout


def test_a_module_that_skips_itself_fails_ci_too(suite: Path) -> None:
    (suite / "tests/kernel/test_probes.py").write_text(
        "import pytest\npytest.skip('not today', allow_module_level=True)\n"
    )
    done = run(suite, capable=True, ci=True)
    assert done.returncode == 1
    assert "tests/kernel/test_probes.py: not today" in done.stdout


@pytest.mark.parametrize(("reason", "ci"), [("this kernel has no x32", True), ("whatever", False)])
def test_facts_about_the_machine_and_skips_outside_ci_are_fine(suite: Path, reason: str, ci: bool) -> None:
    skipping(suite, reason)
    assert run(suite, capable=True, ci=ci).returncode == 0
