"""The command line with rings that overflow: small ones, not drained before something was lost.

Usage: tiny_rings.py ROOT ARGUMENT...
"""

from __future__ import annotations

import sys

sys.path.insert(0, sys.argv[1])

from tracer import cli
from tracer.capture import Drained
from tracer.capture.core import CoreSource
from tracer.cli import loading


class Overflowing(CoreSource):
    _draining = False

    def drain(self) -> Drained:
        self._draining = self._draining or bool(self.losses())
        return super().drain() if self._draining else Drained()

    def detach(self) -> None:
        super().detach()
        self._draining = True


loading.open_source = lambda *_: Overflowing(ring_bytes=(4096, 4096))
sys.exit(cli.main(sys.argv[2:]))
