"""`rubicon replay TRACE [--rules ...]`: judge a recorded trace again; violations on stdout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tracer.cli.export import say_faults
from tracer.cli.live import describe, describe_action
from tracer.cli.policies import add_policy_options, given_by
from tracer.errors import EXIT_OK
from tracer.export import (
    ProcessDocuments,
    SessionFacts,
    action_document,
    session_facts,
    violation_document,
)
from tracer.export.jsonl import line_of
from tracer.export.recorded import closing_of
from tracer.pipeline import RecordedTrace, open_trace
from tracer.rules import load_rules
from tracer.trace import find_trace


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "replay",
        help="judge a recorded trace again",
        description="Judge a trace by the rules given here (and the shipped pack) and print the violations. "
        "Needs no privilege and nothing of the machine it was recorded on.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    add_policy_options(parser)
    parser.add_argument("--rules", metavar="PATH", type=Path, action="append", default=[], help="Sigma rules")
    parser.add_argument("--jsonl", action="store_true", help="as JSON lines")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    path = find_trace(args.trace)
    rules = load_rules(args.policy, args.rules, given=given_by(args, path))
    with open_trace(path, rules.judge) as trace:
        facts, processes, found = session_facts(trace.session), ProcessDocuments(), 0
        for _event, violations in trace.items():  # noqa: PERF102  not a dict's
            for violation in violations:
                found += 1
                if args.jsonl:
                    sys.stdout.write(line_of(violation_document(violation, facts, processes)))
                else:
                    print(describe(violation))
            _show_actions(trace, facts, as_json=args.jsonl)
        _show_actions(trace, facts, as_json=args.jsonl)
        print(f"rubicon: {found} violation{'' if found == 1 else 's'}", file=sys.stderr)
        say_faults(path, closing_of(trace))
    return EXIT_OK


def _show_actions(trace: RecordedTrace, facts: SessionFacts, *, as_json: bool) -> None:
    """What was done when it was recorded: a replay does nothing."""
    for taken in trace.take_actions():
        if as_json:
            sys.stdout.write(line_of(action_document(taken, facts)))
        else:
            print(f"then {describe_action(taken)}")
