"""`rubicon learn TRACE... -o policy.yaml`: a policy from what good runs did."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tracer.cli.policies import given_by
from tracer.errors import EXIT_OK, RubiconError
from tracer.pipeline import open_trace
from tracer.rules import load_rules
from tracer.rules.learn import Learning
from tracer.text import printable
from tracer.trace import find_trace


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "learn",
        help="a policy from what good runs did",
        description="Write a policy that allows what was done in these traces, with a comment on each line: "
        "where it came from. Names that change from run to run become patterns; what was done in the "
        "workspace is ${workspace}, which is where the next run is started. Read it before you use it.",
    )
    parser.add_argument("traces", metavar="TRACE", nargs="+", help="a trace file or the id of a session")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: stdout")
    parser.add_argument("--name", default="learned", help="of the policy")
    parser.set_defaults(handler=run, variables=[])


def run(args: argparse.Namespace) -> int:
    paths = [find_trace(name) for name in args.traces]
    learning = Learning()
    for path in paths:
        given = given_by(args, path)
        learning.begin(path.name, given.all)
        with open_trace(path, lambda _event: ()) as trace:
            for event, _ in trace.items():  # noqa: PERF102  not a dict's
                if not event.process.setting_up:
                    learning.take(event)
            if trace.damage or not trace.ended or any(trace.losses.values()):
                _say(f"{path}: not all was recorded; what is missing was not learned")
    text = learning.policy(args.name)
    if args.output is None:
        sys.stdout.write(text)
        return EXIT_OK
    _write(args.output, text)
    _check(args.output, paths, args)
    return EXIT_OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RubiconError(f"cannot write {printable(str(path))}: {error.strerror}") from None


def _check(policy: Path, traces: list[Path], args: argparse.Namespace) -> None:
    """Judge the traces by what was written: nothing in them may break it."""
    for path in traces:
        rules = load_rules(os.fspath(policy), [], packs=False, given=given_by(args, path))
        with open_trace(path, rules.judge) as trace:
            broken = sum(len(violations) for _, violations in trace.items())
        _say(f"{path}: {broken} violations of {policy}" if broken else f"{path}: breaks nothing in {policy}")


def _say(what: str) -> None:
    print(f"rubicon: {printable(what)}", file=sys.stderr)
