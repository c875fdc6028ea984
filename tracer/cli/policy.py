"""`rubicon policy list|show|diff`: the profiles, what is in force, and what two policies differ in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tracer.cli.policies import add_set_option, given_by
from tracer.errors import EXIT_OK, RubiconError
from tracer.rules import profile_names, profile_path, read_policy
from tracer.text import printable

EXIT_DIFFERENT = 1  # as diff(1) has it


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "policy",
        help="list, show and compare policies",
        description="Work on policies: files, or the profiles that come with Rubicon.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the profiles")
    listing.set_defaults(handler=run_list)
    show = actions.add_parser("show", help="what is in force: what it extends and its variables put in")
    show.add_argument("policy", metavar="POLICY", help="a file or a profile")
    show.add_argument("--source", action="store_true", help="as it is written, with its comments")
    add_set_option(show)
    show.set_defaults(handler=run_show)
    diff = actions.add_parser(
        "diff", help="what another policy allows more (+) and less (-); exits as diff(1)"
    )
    diff.add_argument("before", metavar="POLICY", help="a file or a profile")
    diff.add_argument("after", metavar="OTHER", help="likewise")
    add_set_option(diff)
    diff.set_defaults(handler=run_diff)


def run_list(_args: argparse.Namespace) -> int:
    for name in profile_names():
        source = yaml.safe_load(_text(str(profile_path(name))))
        print(f"{name:<15}  {source['description']}")
    return EXIT_OK


def run_show(args: argparse.Namespace) -> int:
    if args.source:
        sys.stdout.write(_text(str(profile_path(args.policy) or args.policy)))
        return EXIT_OK
    sys.stdout.write(as_yaml(read_policy(args.policy, given_by(args)).keys))
    return EXIT_OK


def run_diff(args: argparse.Namespace) -> int:
    given = given_by(args)
    before, after = (read_policy(name, given).keys for name in (args.before, args.after))
    lines = list(differences(before, after))
    for line in lines:
        print(line)
    return EXIT_DIFFERENT if lines else EXIT_OK


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "is not UTF-8"
        raise RubiconError(f"cannot read {printable(path)}: {reason}") from None


def as_yaml(keys: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(keys), sort_keys=False, allow_unicode=False, width=110)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Of two policies in force: keys by their full names; lists entry by entry, in no order."""
    flat_before, flat_after = dict(_flat(before)), dict(_flat(after))
    for key in dict.fromkeys([*flat_before, *flat_after]):
        old, new = flat_before.get(key), flat_after.get(key)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            yield from (f"- {key}: {printable(str(each))}" for each in old if each not in new)
            yield from (f"+ {key}: {printable(str(each))}" for each in new if each not in old)
        else:
            yield from (f"- {key}: {_shown(old)}",) if key in flat_before else ()
            yield from (f"+ {key}: {_shown(new)}",) if key in flat_after else ()


def _flat(keys: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in keys.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    return (
        f"[{', '.join(printable(str(each)) for each in value)}]"
        if isinstance(value, list)
        else printable(str(value))
    )
