"""`rubicon kill SESSION`: end all that a session watches."""

from __future__ import annotations

import argparse

from tracer.cli.acting import act, add_scope, add_session


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "kill",
        help="end all that a session watches",
        description="End all that a live session watches, until nobody is left. The session ends by itself "
        "then, if it does not watch a cgroup.",
    )
    add_session(parser)
    add_scope(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    return act(args, "kill", scope=args.scope)
