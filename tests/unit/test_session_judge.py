"""The judging thread by itself: what comes just before the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import wire
from tests.records import SESSION, execve
from tracer.events import Action, Violation
from tracer.session.judge import Judging
from tracer.session.outbox import Outbox
from tracer.trace import Writer, ring_section


def test_what_is_written_after_the_last_look_is_judged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader finds nothing; then the last block comes and draining ends, before the reader waits."""
    seen: Counter[Action] = Counter()

    def take(actions: Counter[Action], _violations: Sequence[Violation]) -> None:
        seen.update(actions)

    with Writer(tmp_path / "trace") as writer:
        first = SESSION | {"abi": wire.layout()}
        writer.append([first])
        judging = Judging(writer, lambda _event: (), first, Outbox(), take)
        late = [ring_section([wire.encode(execve(200, "/bin/agent"))], 1, 1)]

        def is_live() -> bool:
            if late:
                writer.append([], late.pop())
                judging._drained = True
            return True

        monkeypatch.setattr(judging._follower, "is_live", is_live)
        judging.start()
        judging.stop()
    assert judging.error is None
    assert seen == {Action.EXEC: 1}
