"""Tiers: a test belongs to the folder it lies in, and the privileged ones say why they cannot run.

The kernel and scenario tiers need root and a kernel with BTF or headers. With CI set, where there are these,
a skipped test of these tiers fails the session, so that the tiers cannot fall silent; only a reason that
begins with "this kernel" or "this machine" (a fact about it, not about us) is accepted.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

TIERS = ("unit", "golden", "tui", "fuzz", "kernel", "scenario")
PRIVILEGED = ("kernel", "scenario")
ACCEPTED = ("this kernel", "this machine")
LAYOUTS = ("/sys/kernel/btf/vmlinux", f"/lib/modules/{os.uname().release}/build")
HERE = Path(__file__).parent


def why_not_privileged() -> str:
    """Why the privileged tiers cannot run here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    if not any(map(os.path.exists, LAYOUTS)):
        return f"needs a kernel with BTF or headers ({' and '.join(LAYOUTS)} are missing)"
    return ""


def tier_of(path: Path) -> str:
    return path.relative_to(HERE).parts[0]


def pytest_configure(config: pytest.Config) -> None:
    _heed_signals()
    if os.environ.get("CI") and not why_not_privileged():
        config.pluginmanager.register(SkipWatch(), "skip-watch")


def _heed_signals() -> None:
    """A shell ignores them for what it puts in the background, and all that tests start inherits that."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not_privileged()
    for item in items:
        tier = tier_of(item.path)
        item.add_marker(tier)
        if reason and tier in PRIVILEGED:
            item.add_marker(pytest.mark.skip(reason=f"{tier} tier: {reason}"))


class SkipWatch:
    """Fails the session for every privileged test that was skipped without an accepted reason."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and set(PRIVILEGED) & set(report.keywords):
            self._note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A whole module skipped while it was collected (importorskip, allow_module_level)."""
        if report.skipped and report.nodeid.startswith(tuple(f"tests/{tier}/" for tier in PRIVILEGED)):
            self._note(report.nodeid, report.longrepr)

    def _note(self, nodeid: str, longrepr: object) -> None:
        reason = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")
        if not reason.startswith(ACCEPTED):
            self.skipped.append(f"{nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.skipped:
            terminalreporter.line(f"FAILED, skipped in CI on a machine that can run it: {line}", red=True)
