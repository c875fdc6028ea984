"""What `freeze`, `thaw` and `kill` have in common: a session is found and told, and what it said is said."""

from __future__ import annotations

import argparse
import sys

from tracer.control import ask
from tracer.errors import EXIT_FAILED, EXIT_OK, RubiconError
from tracer.text import printable
from tracer.trace import Reader, find_trace


def add_session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="the id of a session, its beginning, or its trace")


def add_scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scope",
        metavar="TARGET",
        default="",
        help="only what belongs to this target of the session, as in docker:web; by default all of it",
    )


def act(args: argparse.Namespace, command: str, **arguments: str) -> int:
    """Raises RubiconError when the session does not run, or does not answer."""
    trace = find_trace(args.session)
    with Reader(trace) as reader:
        if not reader.is_live():
            raise RubiconError(f"the session of {printable(str(trace))} has ended")
    reply = ask(trace, command, **arguments)
    say(printable(reply.message))
    for problem in reply.data.get("problems", ())[1:]:
        say(printable(str(problem)))
    return EXIT_OK if reply.ok else EXIT_FAILED


def say(text: str) -> None:
    print(f"rubicon: {text}", file=sys.stderr)
