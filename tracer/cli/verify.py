"""`rubicon verify TRACE`: is the trace whole, and if not, from where on."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tracer.cli.remote import find
from tracer.errors import EXIT_OK, EXIT_USAGE
from tracer.text import printable, valid_unicode
from tracer.trace import Keyring, Sealed, Verdict, read_public_key, verify


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "verify",
        help="integrity and completeness of a trace",
        description="Say whether a trace is intact, live, cut, torn, altered, reordered, unsealed or sealed "
        "by a wrong key, and where. Exit status 0 for intact and live, otherwise 2.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument(
        "--key",
        metavar="FILE",
        type=Path,
        help="the public key it must be sealed with; default: any that `rubicon keys` lists, or whichever it "
        "is when that lists none",
    )
    parser.add_argument("--json", action="store_true", help="the verdict as one JSON object")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Print the verdict. Raises TraceError when the file is not a trace, UsageError when --key is no key."""
    keys = {read_public_key(args.key): args.key.stem} if args.key else Keyring().known()
    path = find(args.trace)
    verdict = verify(path, keys)
    print(json.dumps(verdict_document(verdict, path)) if args.json else describe(verdict, path))
    return EXIT_OK if verdict.trustworthy else EXIT_USAGE


def verdict_document(verdict: Verdict, path: Path) -> dict[str, Any]:
    return {"trace": valid_unicode(str(path)), **asdict(verdict)}


def describe(verdict: Verdict, path: Path) -> str:
    """The verdict for a person, the state first."""
    seconds = (verdict.last_ns - verdict.first_ns) / 1e9
    before = " before the damage" if verdict.damage else ""
    return "\n".join(
        (
            f"{printable(str(path))}: {verdict.message}",
            f"  blocks   {verdict.blocks}{before}, {verdict.size_bytes} bytes in the file",
            f"  records  {verdict.records}{before}, {verdict.events} of them events from the kernel",
            f"  time     {seconds:.3f} s from the first event to the last",
            f"  lost     {verdict.lost_critical} critical, {verdict.lost_bulk} bulk",
            f"  sealed   {_sealed(verdict.sealed)}",
        )
    )


def _sealed(sealed: Sealed) -> str:
    if not sealed.key:
        return "not at all"
    whose = printable(sealed.name) or "not known here: compare it, or give --key"
    return f"the first {sealed.blocks} blocks, by {sealed.key} ({whose})\n  head     {sealed.head}"
