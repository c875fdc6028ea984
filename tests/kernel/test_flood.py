"""A flood of files takes nothing from what another process does, and what it costs itself is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.conftest import Triggers
from tests.kernel.watching import Watch

pytestmark = pytest.mark.heavy

FILES = 200_003
# The flood goes on until the 46 acts are done, and then to its end.
SCRIPT = f"""
"$1" {FILES} &
i=0
while [ $i -lt 23 ]; do
    "$2" -I -S -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).connect(("127.0.0.1", 9))'
    i=$((i + 1))
done
wait $!
"""


def test_processes_and_connects_come_through(watch: Watch, triggers: Triggers, here: Path) -> None:
    """Nobody drains meanwhile: the bulk ring overflows for certain."""
    run = watch.shell(SCRIPT, triggers("flood"), "/usr/bin/python3", cwd=here, lossy=True)
    assert run.status == 0, run.output
    losses = watch.source.losses()
    # The totals of the sockets go through the same ring.
    assert losses.keys() - {"RB_FLOW"} == {"RB_OPEN", "RB_CLOSE"}
    opens = [each for each in run.opens if each.path.startswith(f"{here}/")]
    closes = [each for each in run.closes if each.path.startswith(f"{here}/")]
    assert len(opens) + losses["RB_OPEN"] == FILES
    assert len(closes) + losses["RB_CLOSE"] == FILES
    probes = [each for each in run.execs if each.path != str(triggers("flood"))]
    assert (len(run.execs), len(probes)) == (24, 23)
    assert [(each.peer.dport, each.result) for each in run.connects] == [(9, 0)] * 23
    assert {each.pid for each in run.connects} == {each.pid for each in probes}
    assert len(run.exits) == 25
