"""The JSON lines of the sample session, byte for byte: the format is an interface.

After a deliberate change: `python -m tests.golden.test_golden_jsonl > new`, move it there, read the
difference, and name it in CHANGELOG.md.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from tests.export_samples import SESSION, items
from tracer.export import Closing, write_jsonl

GOLDEN = Path(__file__).with_name("session.jsonl")


def made() -> str:
    out = io.StringIO()
    write_jsonl(items(), SESSION, out, closing=lambda: Closing({"critical": 0, "bulk": 17}))
    return out.getvalue()


def test_jsonl_is_byte_exact() -> None:
    assert made().encode("ascii") == GOLDEN.read_bytes()


if __name__ == "__main__":
    sys.stdout.write(made())
