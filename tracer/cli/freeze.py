"""`rubicon freeze SESSION`: hold all that a session watches still."""

from __future__ import annotations

import argparse

from tracer.cli.acting import act, add_scope, add_session


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "freeze",
        help="hold all that a session watches still",
        description="Hold all that a live session watches still, until it is thawed.",
    )
    add_session(parser)
    add_scope(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    return act(args, "freeze", scope=args.scope)
