"""`rubicon correlate TRACE --trajectory FILE --format F`: steps of a trace that was recorded without any."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracer.cli.progress import shown_progress
from tracer.cli.table import aligned
from tracer.errors import EXIT_OK, RubiconError, UsageError
from tracer.export.ecs import timestamp
from tracer.export.jsonl import line_of
from tracer.pipeline import RecordedTrace, open_trace
from tracer.text import printable, valid_unicode
from tracer.trace import find_trace, write_correlated

if TYPE_CHECKING:
    from tracer.correlate.clocks import Skew
    from tracer.correlate.join import Joined

FORMATS = ("claude-code", "openhands", "swe-agent", "mini-swe-agent", "otlp", "jsonl")
_COMMAND_SHOWN = 60


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "correlate",
        help="steps of a trace from what the agent wrote down",
        description="Join what an agent wrote down (its trajectory) to a trace in which no step was told, "
        "by the text of commands, their order and time, and say how sure each step is. The clocks need not "
        "agree. What is found is kept beside the trace and is then what steps, export, report and the screen "
        "show.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("--trajectory", metavar="FILE", type=Path, required=True)
    parser.add_argument("--format", choices=FORMATS, required=True, help="who wrote it")
    parser.add_argument(
        "--least",
        metavar="PERCENT",
        type=int,
        default=0,
        help="leave out what is less sure than this (default: nothing)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a step")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Raises UsageError when the trajectory is none, or steps were told already."""
    from tracer.correlate import join, ran, steps, trajectories

    path = find_trace(args.trace)
    calls = trajectories.read(args.trajectory, args.format)
    with open_trace(path, lambda _event: (), steps=()) as trace:
        with shown_progress(lambda: trace.progress, to_terminal=False):
            rans = ran.all_of(trace)
        if trace.steps:
            raise UsageError(f"{printable(str(path))}: its steps were told while it was recorded")
        found, skew = join.join(calls, rans)
        kept = [each for each in found if each.confidence >= args.least]
        records = steps.records(kept, skew, trace.session["boot_offset_ns"])
        _write(path, trace, args, skew, records)
    _show(kept, as_json=args.json)
    print(f"rubicon: {_summary(len(kept), len(calls), skew)}", file=sys.stderr)
    return EXIT_OK


def _write(
    path: Path,
    trace: RecordedTrace,
    args: argparse.Namespace,
    skew: Skew | None,
    records: Sequence[dict[str, Any]],
) -> None:
    facts = {
        "trajectory": valid_unicode(str(args.trajectory)),
        "format": args.format,
        "sha256": hashlib.sha256(args.trajectory.read_bytes()).hexdigest(),
        "skew_ns": skew.add_ns if skew else None,
    }
    try:
        write_correlated(path, trace.session, facts, records)
    except OSError as error:
        raise RubiconError(f"cannot write beside {printable(str(path))}: {error.strerror}") from error


def _show(found: Sequence[Joined], *, as_json: bool) -> None:
    if as_json:
        for each in found:
            sys.stdout.write(line_of(document(each)))
    elif found:
        print(aligned(("STEP", "TOOL", "CONFIDENCE", "BY", "BEGAN", "COMMAND"), list(map(_row, found))))


def document(joined: Joined) -> dict[str, Any]:
    call = joined.call
    names = {"step": call.step, "tool": call.tool, "call_id": call.call_id, "episode": call.episode}
    first = joined.rans[0] if joined.rans else None
    return {
        **{name: valid_unicode(value) for name, value in names.items() if value},
        **({"command": valid_unicode(call.command)} if call.command else {}),
        "confidence": joined.confidence / 100,
        "by": joined.by.value,
        **({"began": timestamp(first.began_ns), "pid": first.process[0]} if first else {}),
    }


def _row(joined: Joined) -> tuple[str, ...]:
    call = joined.call
    began = timestamp(joined.rans[0].began_ns)[11:23] if joined.rans else ""
    command = printable(call.command)
    shown = command if len(command) <= _COMMAND_SHOWN else f"{command[: _COMMAND_SHOWN - 1]}…"
    sure = f"{joined.confidence} %"
    return printable(call.step), printable(call.tool), sure, joined.by.value, began, shown


def _summary(found: int, calls: int, skew: Skew | None) -> str:
    said = f"{found} of {calls} steps found"
    if skew is None:
        return f"{said}; the trajectory tells no times"
    side = "behind" if skew.add_ns > 0 else "ahead"
    seconds, within = abs(skew.add_ns) / 1e9, skew.within_ns / 1e9
    return f"{said}; the agent's clock was {seconds:.3f} s {side} (± {within:.3f} s)"
