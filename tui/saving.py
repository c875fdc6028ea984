"""Files that somebody wants of a session: what passes a filter as JSON lines, and the report."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import tracer
from tracer.errors import RubiconError
from tracer.export import jsonl
from tracer.export.recorded import Selection, documents_of
from tracer.files import private
from tracer.pipeline import open_trace
from tracer.where import Where

REPORT_SECONDS = 300.0


def new_file(folder: Path, session: str, suffix: str, now: float | None = None) -> Path:
    """A name that says what it is and is not taken yet."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    safe = "".join(each for each in session if each.isalnum() or each in "-_") or "session"
    return folder / f"rubicon-{safe}-{stamp}{suffix}"


def save_events(trace: Path, where: Where, out: Path) -> int:
    """Write what passes, with a summary at the end; how many events that were. For its owner alone.

    Raises RubiconError, OSError.
    """
    with open_trace(trace) as recorded:
        documents = documents_of(recorded, Selection(where))
        with open(out, "x", encoding="ascii", opener=private) as file:
            jsonl.write(documents, file)
        return documents.summary.events


def save_report(trace: Path, out: Path) -> None:
    """Have `rubicon report` write it, as on the command line. Raises RubiconError with what that says."""
    main = Path(tracer.__file__).with_name("cli") / "__main__.py"
    command = [sys.executable, "-I", str(main), "report", str(trace), "-o", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=REPORT_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise RubiconError(f"no report: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        raise RubiconError(f"no report: {lines[-1]}")
