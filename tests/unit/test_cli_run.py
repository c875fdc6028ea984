"""The signals of `rubicon run`, taken one by one."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest

from tracer.cli.run import Signals


def alone(test: Callable[[], None]) -> None:
    """Run it in a process with one thread: another thread, left by another test, would take the signals."""
    pid = os.fork()
    if pid == 0:
        try:
            test()
        except BaseException:  # noqa: BLE001  nothing of pytest's may run on in the child
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_they_do_not_interrupt_and_are_told_one_by_one() -> None:
    def test() -> None:
        with Signals() as signals:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                os.kill(os.getpid(), number)
            taken = [signals.next(0) for _ in range(4)]
            assert signals.next(0) is None
        assert {sent.si_signo for sent in taken if sent} == {2, 15, 1, 3}
        assert {(sent.si_code, sent.si_pid) for sent in taken if sent} == {(0, os.getpid())}

    alone(test)


def test_the_end_of_a_child_is_told() -> None:
    with Signals() as signals:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        sent = signals.next()
        os.waitpid(pid, 0)
    assert sent is not None
    assert (sent.si_signo, sent.si_pid) == (signal.SIGCHLD, pid)


def test_what_came_too_late_does_not_interrupt_what_follows() -> None:
    def test() -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        with Signals():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before

    alone(test)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_was_ignored_stays_so(number: signal.Signals) -> None:
    """As under nohup, or in the background of a script."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), number)
            assert signals.next(0) is None
    finally:
        signal.signal(number, before)
