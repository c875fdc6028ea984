"""`rubicon mark begin|end`: tell the session that watches the agent which step it is at."""

from __future__ import annotations

import argparse
import os

from tracer import marking
from tracer.errors import EXIT_OK


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "mark",
        help="tell the running session which step begins or ends",
        description="Tell the session that watches the agent which step begins or ends. What a step starts "
        "stays its own, also in the background. `begin` prints the id of the step.",
    )
    parser.add_argument("what", choices=("begin", "end"))
    parser.add_argument("--step", default="", help="its id (begin: default the next number; end: the newest)")
    parser.add_argument("--call-id", default="", metavar="ID", help="of the tool call")
    parser.add_argument("--tool", default="", help="begin: the tool that is called")
    parser.add_argument("--episode", default="", help="begin: what the step is a part of")
    parser.add_argument(
        "--command",
        default="",
        metavar="TEXT",
        help="begin: the command that it runs, which tells steps at the same time apart",
    )
    parser.add_argument(
        "--pid", type=int, default=0, help="begin: only what this process and its children do"
    )
    parser.add_argument(
        "--traceparent",
        default=os.environ.get("TRACEPARENT", ""),
        metavar="VALUE",
        help="begin: of W3C Trace Context (default: $TRACEPARENT)",
    )
    parser.add_argument(
        "--session",
        default="",
        help=f"a session or its trace (default: ${marking.ENVIRONMENT}, which `run` sets, or the newest)",
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    socket = marking.socket_of(args.session)
    if args.what == "end":
        marking.end(socket, step=args.step, call_id=args.call_id)
        return EXIT_OK
    names = ("step", "call_id", "tool", "episode", "command", "pid", "traceparent")
    print(marking.begin(socket, **{name: getattr(args, name) for name in names}))
    return EXIT_OK
