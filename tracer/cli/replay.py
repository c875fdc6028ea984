"""`rubicon replay TRACE [--rules ...]`: judge a recorded trace again; violations on stdout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tracer.cli.export import say_faults
from tracer.cli.live import describe, describe_action
from tracer.cli.policies import add_policy_options, given_by
from tracer.errors import EXIT_OK, RubiconError, UsageError
from tracer.export import (
    ProcessDocuments,
    SessionFacts,
    action_document,
    session_facts,
    violation_document,
)
from tracer.export.jsonl import line_of
from tracer.export.recorded import closing_of
from tracer.pipeline import Judge, LearnRules, RecordedTrace, open_trace
from tracer.rules import load_rules
from tracer.rules.changes import RecordedRules
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
    parser.add_argument(
        "--recorded",
        action="store_true",
        help="by the rules of the session itself, as they were changed while it ran, instead of those given",
    )
    parser.add_argument("--jsonl", action="store_true", help="as JSON lines")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    path = find_trace(args.trace)
    if args.recorded and (args.policy or args.rules):
        raise UsageError("--recorded has its own rules: leave out --policy and --rules")
    recorded = RecordedRules() if args.recorded else None
    with open_trace(path, *_judging(args, path, recorded)) as trace:
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
    if recorded and not recorded.known:
        raise RubiconError("the trace does not hold the rules it was judged by: give --policy and --rules")
    if recorded and recorded.other_pack:
        print("rubicon: the pack here is not the one that this was judged by", file=sys.stderr)
    return EXIT_OK


def _judging(
    args: argparse.Namespace, path: Path, recorded: RecordedRules | None
) -> tuple[Judge, LearnRules | None]:
    if recorded:
        return recorded.judge, recorded.learn
    return load_rules(args.policy, args.rules, given=given_by(args, path)).judge, None


def _show_actions(trace: RecordedTrace, facts: SessionFacts, *, as_json: bool) -> None:
    """What was done when it was recorded: a replay does nothing."""
    for taken in trace.take_actions():
        if as_json:
            sys.stdout.write(line_of(action_document(taken, facts)))
        else:
            print(f"then {describe_action(taken)}")
