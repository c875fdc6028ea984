"""The command line with rings that overflow at once. Usage: tiny_rings.py ROOT ARGUMENT..."""

from __future__ import annotations

import sys

sys.path.insert(0, sys.argv[1])

from tracer import cli
from tracer.capture.core import CoreSource
from tracer.cli import live

live.open_source = lambda: CoreSource(ring_bytes=(4096, 4096))
sys.exit(cli.main(sys.argv[2:]))
