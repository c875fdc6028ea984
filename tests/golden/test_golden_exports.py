"""The sample session in every format that is text, byte for byte: the formats are an interface.

After a deliberate change: `python -m tests.golden.test_golden_exports` writes them anew; read the difference,
and name it in CHANGELOG.md.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.export_samples import SESSION, items
from tracer.export import Closing, Documents
from tracer.export.formats import FORMATS, Into, stream_writer

FOLDER = Path(__file__).parent
NAMES = [name for name, form in FORMATS.items() if form.into is Into.STREAM]


def golden(name: str) -> Path:
    return FOLDER / f"session.{name}"


def made(name: str) -> bytes:
    out = io.StringIO(newline="")
    closing = Closing({"critical": 0, "bulk": 17})
    stream_writer(name)(Documents(items(), SESSION, closing=lambda: closing), out)
    return out.getvalue().encode()


@pytest.mark.parametrize("name", NAMES)
def test_format_is_byte_exact(name: str) -> None:
    assert made(name) == golden(name).read_bytes()


if __name__ == "__main__":
    for each in NAMES:
        golden(each).write_bytes(made(each))
