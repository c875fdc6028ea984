"""What may import what: the contracts of pyproject.toml, and what a start really imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tracer import cli

ROOT = Path(__file__).parents[2]
HEAVY = {"textual", "rich", "tui", "bcc"}


@pytest.mark.timeout(180)
def test_import_contracts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def imported_by(statement: str) -> set[str]:
    """Top-level names of the modules in a fresh interpreter after `statement`."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", ["tracer.cli", *(f"tracer.cli.{name}" for name in cli.COMMANDS)])
def test_no_command_imports_the_tui_or_bcc(module: str) -> None:
    assert not imported_by(f"import {module}") & HEAVY


def test_the_shell_itself_is_light() -> None:
    assert not imported_by("import tracer.cli") & {"pydantic", "yaml", "sigma", "zstandard", "psutil"}


@pytest.mark.parametrize("module", ["tracer.cli.run", "tracer.cli.attach"])
def test_the_probes_begin_to_load_before_anything_large_is_imported(module: str) -> None:
    large = {"pydantic", "yaml", "sigma", "pyparsing", "zstandard", "cryptography", "psutil", "re2"}
    assert not imported_by(f"import {module}") & large
