"""`rubicon keys`: the key that seals traces, and those of others that are trusted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tracer.errors import EXIT_OK
from tracer.text import printable
from tracer.trace import Keyring, read_public_key


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "keys",
        help="the keys that seal traces",
        description="Without a word more: list the keys. Each trace is sealed with this machine's key "
        "($RUBICON_KEYS, or ~/.config/rubicon/keys), which is made on first use; `rubicon verify` trusts it "
        "and those that were told to it. The files are OpenSSH's: ssh-keygen -l shows the same fingerprints.",
    )
    parser.set_defaults(handler=show)
    actions = parser.add_subparsers(metavar="ACTION")
    actions.add_parser("show", help="list the keys, and where they are").set_defaults(handler=show)
    public = actions.add_parser("public", help="print this machine's public key, for `trust` elsewhere")
    public.set_defaults(handler=print_public)
    trust = actions.add_parser("trust", help="trust the public key of another machine")
    trust.add_argument("file", metavar="FILE", type=Path)
    trust.add_argument("--name", help="what to call it; default: the name of the file")
    trust.set_defaults(handler=trust_key)
    replace = actions.add_parser("replace", help="make a new key; what the old one sealed stays good")
    replace.set_defaults(handler=replace_key)


def show(_args: argparse.Namespace) -> int:
    keyring = Keyring()
    known = keyring.known()
    for key, name in known.items():
        print(f"{key.fingerprint}  {printable(name)}")
    if not known:
        print("no keys yet: the first session, or `rubicon keys public`, makes one", file=sys.stderr)
    print(f"in {printable(str(keyring.folder))}", file=sys.stderr)
    return EXIT_OK


def print_public(_args: argparse.Namespace) -> int:
    keyring = Keyring()
    keyring.own()
    print(keyring.public_path.read_text("utf-8"), end="")
    return EXIT_OK


def trust_key(args: argparse.Namespace) -> int:
    key = read_public_key(args.file)
    path = Keyring().trust(key, args.name or args.file.stem)
    print(f"{key.fingerprint} is trusted as {printable(path.stem)}")
    return EXIT_OK


def replace_key(_args: argparse.Namespace) -> int:
    print(f"{Keyring().replace().public.fingerprint} seals traces from now on")
    return EXIT_OK
