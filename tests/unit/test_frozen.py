"""What comes out of frozen bytes is data, whatever the bytes say."""

from __future__ import annotations

import os
import pickle
import subprocess

import pytest

from tests import records
from tracer.context import Context
from tracer.frozen import NotDataError, freeze, thaw
from tui.snapshot import State


def test_members_of_enumerations_come_back() -> None:
    assert thaw(freeze((State.LIVE, {1, 2}, [b"x"]))) == (State.LIVE, {1, 2}, [b"x"])


def test_a_context_goes_on_as_if_nothing_had_happened() -> None:
    made = [records.fork(7, 1, 10), records.execve(7, "/bin/a", 11), records.opened(7, "/tmp/x", 12)]
    later = [records.closed(7, "/tmp/x", 13), records.fork(8, 7, 14), records.leave(7, 15)]
    one = Context(records.SESSION)
    for record in made:
        one.event(record)
    other: Context = thaw(freeze(one))
    for record in later:
        expected, event = one.event(record), other.event(record)
        assert expected is not None
        assert event is not None
        assert (event.sequence, event.action, event.process.executable) == (
            expected.sequence,
            expected.action,
            expected.process.executable,
        )


class Call:
    def __init__(self, called: object, *arguments: object) -> None:
        self.called, self.arguments = called, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.called, self.arguments


@pytest.mark.parametrize(
    "bad",
    [
        Call(os.system, "true"),
        Call(eval, "1"),
        Call(getattr, Context, "event"),
        Call(getattr, "", "format"),
        Call(subprocess.Popen, "true"),
        Call(pickle.loads, b""),
        Call(open, "/etc/passwd"),
    ],
)
def test_nothing_is_called(bad: object) -> None:
    with pytest.raises(NotDataError):
        thaw(pickle.dumps(bad))
