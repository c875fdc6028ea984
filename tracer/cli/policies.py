"""The options by which commands take a policy, and the variables that are put into it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.errors import UsageError
from tracer.text import printable

if TYPE_CHECKING:
    from tracer.rules import Given


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy",
        metavar="POLICY",
        help="what the sandbox may do: a file, or a profile (rubicon policy list)",
    )
    add_set_option(parser)


def add_set_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="variables",
        help="a variable of the policy, such as workspace (otherwise: where this is started) or home; "
        "A,B for several values; also what %%NAME%% of a Sigma rule stands for",
    )


def given_by(args: argparse.Namespace, trace: Path | None = None) -> Given:
    """The variables of this machine, or those that a trace was recorded with; and what --set says.

    Raises UsageError, TraceError.
    """
    from tracer.rules import Given, of_this_machine, parse_assignment

    try:
        fixed = dict(map(parse_assignment, args.variables))
    except ValueError as error:
        raise UsageError(f"--set: {printable(str(error))}") from None
    if trace is None:
        return Given(of_this_machine(), fixed)
    from tracer.trace.read import Reader

    with Reader(trace) as reader:
        known = Given.of_session(reader.session)
    return Given(known.machine or of_this_machine(), {**known.fixed, **fixed})
