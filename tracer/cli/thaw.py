"""`rubicon thaw SESSION`: let what is frozen go on."""

from __future__ import annotations

import argparse
from pathlib import Path

from tracer.actions import kept
from tracer.cli.acting import act, add_scope, add_session, say
from tracer.errors import EXIT_OK, RubiconError
from tracer.text import printable
from tracer.trace import default_folder


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "thaw",
        help="let what is frozen go on",
        description="Let what a session has frozen go on; also what one that was killed left frozen.",
    )
    add_session(parser)
    add_scope(parser)
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    for path in kept.abandoned(default_folder()):
        if path.name.removesuffix(kept.SUFFIX).startswith(args.session):
            return _thaw_abandoned(path)
    return act(args, "thaw", scope=args.scope)


def _thaw_abandoned(path: Path) -> int:
    try:
        count = kept.thaw_abandoned(path)
    except OSError as error:
        raise RubiconError(f"cannot thaw what {printable(path.name)} names: {error.strerror}") from None
    say(f"thawed what a session that is gone had frozen ({count} cgroups and processes)")
    return EXIT_OK
