"""`rubicon rules check|list|test|reload`: whether rules are right, which there are, what they say of a trace;
and to have a live session read its own again."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tracer.cli.acting import act, add_session
from tracer.cli.live import describe
from tracer.cli.policies import add_set_option, given_by
from tracer.errors import EXIT_OK
from tracer.pipeline import open_trace
from tracer.rules import Entry, Meter, RuleSet, load_any
from tracer.text import printable
from tracer.trace import find_trace

_SHOWN = 20  # rules in a profile


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "rules",
        help="check, list and try rules",
        description="Work on rules: policies, and Sigma rules, correlations, filters, in files or folders.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check", help="whether rules are right; exit status 2 when one is not, with file, line and field"
    )
    check.add_argument("paths", metavar="PATH", nargs="+", help="a policy, a rule file or a folder")
    add_set_option(check)
    check.set_defaults(handler=run_check)
    listing = actions.add_parser("list", help="the shipped pack, the rules given, and what does not apply")
    listing.add_argument("paths", metavar="PATH", nargs="*", help="likewise")
    add_set_option(listing)
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(handler=run_list)
    test = actions.add_parser("test", help="what rules say of a recorded trace")
    test.add_argument("paths", metavar="PATH", nargs="+", help="likewise")
    add_set_option(test)
    test.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    test.add_argument("--packs", action="store_true", help="the shipped pack, too")
    test.add_argument("--profile", action="store_true", help="what each detection cost, the dearest first")
    test.set_defaults(handler=run_test)

    reload = actions.add_parser(
        "reload",
        help="have a live session read its policy and rules again",
        description="New rules are in force between two events; where something is wrong with them the "
        "session keeps those it has, and says why. Files are read for this only and never by themselves, as "
        "the agent may be able to write them.",
    )
    add_session(reload)
    reload.set_defaults(handler=lambda args: act(args, "reload"))


def run_check(args: argparse.Namespace) -> int:
    rules = load_any(args.paths, packs=False, given=given_by(args))
    for line in _skipped(rules):
        print(line)
    counts = Counter(entry.source for entry in rules.entries)
    found = ", ".join(f"{count} {printable(source)}" for source, count in sorted(counts.items()))
    print(f"{len(rules.entries)} rules apply ({found or 'none'}), {len(rules.skipped)} do not")
    return EXIT_OK


def run_list(args: argparse.Namespace) -> int:
    rules = load_any(args.paths, packs=True, given=given_by(args))
    for entry in rules.entries:
        print(json.dumps(document(entry)) if args.json else line_of(entry))
    if args.json:
        for each in rules.skipped:
            print(
                json.dumps(
                    {"title": each.title, "file": str(each.file), "line": each.line, "skipped": each.reason}
                )
            )
    else:
        print(*_skipped(rules), sep="\n", end="\n" if rules.skipped else "")
    return EXIT_OK


def run_test(args: argparse.Namespace) -> int:
    path = find_trace(args.trace)
    rules = load_any(args.paths, packs=args.packs, given=given_by(args, path))
    if args.profile:
        rules.timed_every = 1
    counts: Counter[str] = Counter()
    with open_trace(path, rules.judge) as trace:
        for _event, violations in trace.items():  # noqa: PERF102  not a dict's
            for violation in violations:
                counts[violation.rule.name] += 1
                print(describe(violation))
    for name, count in counts.most_common():
        print(f"rubicon: {count:>6} {printable(name)}", file=sys.stderr)
    print(f"rubicon: {counts.total()} violations", file=sys.stderr)
    for line in _profile(rules.meters.values()) if args.profile else ():
        print(line, file=sys.stderr)
    return EXIT_OK


def document(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.rule.id,
        "title": entry.rule.name,
        "level": entry.rule.level.value,
        "source": entry.source,
        "techniques": list(entry.rule.techniques),
        "on_violation": entry.rule.response.value,
        "part_of_correlation": entry.part,
        "file": str(entry.file) if entry.file else "",
        "line": entry.line,
    }


def line_of(entry: Entry) -> str:
    rule = entry.rule
    level = "part" if entry.part else rule.level.value
    techniques = f"  {' '.join(rule.techniques)}" if rule.techniques else ""
    return f"{level:<13}  {entry.source:<18}  {printable(rule.name)}{techniques}"


def _skipped(rules: RuleSet) -> Iterator[str]:
    for each in rules.skipped:
        place = f"{printable(str(each.file))}:{each.line}"
        yield f"{place}: {printable(each.title)}: does not apply: {printable(each.reason)}"


def _profile(meters: Iterable[Meter]) -> Iterator[str]:
    asked = [meter for meter in meters if meter.asked]
    for meter in sorted(asked, key=lambda each: -each.spent_ns)[:_SHOWN]:
        mean_ns = meter.spent_ns / max(1, meter.asked)
        yield (
            f"rubicon: {meter.spent_ns / 1e6:9.2f} ms  {mean_ns:7.0f} ns each  {meter.asked:>8} asked  "
            f"{meter.hits:>6} hits  {printable(meter.rule.name)}"
        )
