"""`rubicon publish TRACE URL`: a trace into NATS JetStream, also while it grows."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import suppress

from tracer.cli import privileges
from tracer.cli.relay import LINGER_SECONDS
from tracer.errors import EXIT_FAILED, EXIT_OK, RubiconError
from tracer.trace import find_trace


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "publish",
        help="a trace into a NATS server, for others to watch",
        description="Publish a trace to NATS JetStream, what of it is not there yet, to the end of its "
        "session: `run` and `attach` do it with --nats. Elsewhere `rubicon watch nats://HOST` shows it, and "
        "`rubicon export nats://HOST/SESSION` and others read it.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("url", metavar="URL", help="such as nats://127.0.0.1:4222")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Without a right that is not needed, as it connects elsewhere."""
    try:
        from tracer.fleet.publish import Publisher
        from tracer.fleet.stream import parse_address
    except ModuleNotFoundError as error:
        raise RubiconError(f"publish needs {error.name}: pip install 'rubicon[fleet]'") from error
    address = parse_address(args.url)
    publisher = Publisher(find_trace(args.trace), address, _say, linger_seconds=LINGER_SECONDS)
    with suppress(OSError):
        privileges.keep(())
    published = asyncio.run(publisher.run())
    if published.waiting:
        _say(
            f"{address.shown}: {published.blocks} blocks published, {published.waiting} not; "
            f"rubicon publish does the rest"
        )
        return EXIT_FAILED
    _say(f"{address.shown}: {published.blocks} blocks published")
    return EXIT_OK


def _say(what: str) -> None:
    print(f"rubicon: {what}", file=sys.stderr, flush=True)
