"""`rubicon watch [SESSION|TRACE]`: the screen on a live session or a finished trace."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tracer.cli.remote import find, mirror_of, the_one_in
from tracer.cli.screen import has_terminal, save_screen, watch_here
from tracer.errors import EXIT_OK, UsageError
from tracer.fleet import is_address
from tracer.trace import find_trace, newest_trace

SCREENS = ("live", "network", "files", "rules", "timeline", "sessions")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "watch",
        help="the screen on a live session or a finished trace",
        description="Show a session: process tree, violations and events. Needs no privilege but to read the "
        "trace; quitting ends the screen and nothing else.",
    )
    parser.add_argument(
        "session",
        metavar="SESSION|TRACE",
        nargs="?",
        help="the id of a session or a trace file (default: the newest session, a live one first)",
    )
    parser.add_argument(
        "--picture",
        metavar="SVG",
        type=Path,
        help="write what the screen shows to a file instead of showing it",
    )
    parser.add_argument("--screen", choices=SCREENS, default=SCREENS[0], help="which one, of the picture")
    parser.add_argument("--terminal", type=int, help=argparse.SUPPRESS)  # a descriptor, from `run --tui`
    parser.add_argument("--size", metavar="COLSxROWS", type=_size, default=(140, 40), help="of the picture")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    if is_address(args.session):
        return _watch_elsewhere(args)
    if args.picture is not None:
        save_screen(find_trace(args.session), args.picture, args.size, args.screen)
        return EXIT_OK
    trace = newest_trace() if args.session is None else find_trace(args.session)
    if not has_terminal():
        raise UsageError("watch needs a terminal; `rubicon export` and `rubicon watch --picture` do without")
    return watch_here(trace, args.terminal)


def _watch_elsewhere(args: argparse.Namespace) -> int:
    """One session of a server, or all there are; they go on as they do there. Nothing can be done to them."""
    if args.picture is not None:
        save_screen(find(args.session), args.picture, args.size, args.screen)
        return EXIT_OK
    if not has_terminal():
        raise UsageError("watch needs a terminal; `rubicon export` and `rubicon watch --picture` do without")
    mirror, folder = mirror_of(args.session)
    mirror.start()
    mirror.caught_up.wait()
    try:
        if mirror.error:
            raise mirror.error
        os.environ["RUBICON_TRACES"] = str(folder)
        return watch_here(
            the_one_in(folder, args.session) if "/" in args.session.partition("://")[2] else None
        )
    finally:
        mirror.stop()


def _size(text: str) -> tuple[int, int]:
    columns, _x, rows = text.partition("x")
    try:
        size = int(columns), int(rows)
    except ValueError:
        raise argparse.ArgumentTypeError("give columns and rows, as in 80x24") from None
    if not (20 <= size[0] <= 1000 and 5 <= size[1] <= 500):
        raise argparse.ArgumentTypeError("from 20x5 to 1000x500")
    return size
