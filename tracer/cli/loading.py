"""The probes, loaded in the background from the first moment of `run` and `attach`.

The kernel takes a third of a second to verify them and does not need Python for that; reading the rules, and
importing what reads them, takes as long. So this imports little, and is imported before the rest.
"""

from __future__ import annotations

import argparse
import re
import threading
from pathlib import Path

from tracer.capture import Source
from tracer.capture.preflight import open_source
from tracer.cli.policies import add_policy_options
from tracer.events import Level
from tracer.fleet import is_address
from tracer.targets.cgroups import mount_point


class Loading:
    """The thread. Whoever made it takes the `result`, or lets it `discard` what was loaded."""

    def __init__(self, loader: str = "auto", *, guarding: bool = False) -> None:
        self._loader = loader
        self._guarding = guarding
        self._source: Source | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            if self._guarding:
                self._source = open_source(self._loader, guarding=True, cgroups=mount_point())
            else:
                self._source = open_source(self._loader)
        except BaseException as error:  # noqa: BLE001  raised where the probes are asked for
            self._error = error

    def result(self) -> Source:
        """The probes. Raises what loading them raised."""
        self._thread.join()
        if self._source is None:
            raise self._error or AssertionError("no probes and no reason")
        return self._source

    def discard(self) -> None:
        self._thread.join()
        if self._source is not None:
            self._source.close()


def add_options(parser: argparse.ArgumentParser) -> None:
    add_policy_options(parser)
    parser.add_argument(
        "--rules",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="Sigma rules: a file or a folder; may be given again. The shipped pack is always in force",
    )
    parser.add_argument("--trace", metavar="FILE", type=Path, help="where the trace goes; must not exist yet")
    _add_rotation(parser)
    parser.add_argument(
        "--anchor",
        metavar="CMD",
        default="",
        help="a shell command, run for each seal of the trace (about once a minute and at the end) with the "
        "seal as JSON on its stdin: to keep it where nobody here can change it",
    )
    parser.add_argument(
        "--otlp",
        metavar="URL",
        type=_collector,
        help="send all events and violations to an OpenTelemetry collector as they come (OTLP/HTTP)",
    )
    parser.add_argument(
        "--nats",
        metavar="URL",
        type=_nats,
        help="publish the trace to NATS JetStream as it grows (nats://HOST:4222); what the server did not "
        "take yet lies in the trace",
    )
    parser.add_argument("--jsonl", metavar="FILE", help="violations as JSON lines as they come; - is stdout")
    parser.add_argument(
        "--fail-on",
        metavar="LEVEL",
        type=_level,
        help="exit 3 on a violation at or above it, 4 when losses leave it open",
    )
    parser.add_argument(
        "--enforce",
        action="store_true",
        help="do what on_violation says; without it, only say what would have been done",
    )
    parser.add_argument(
        "--loader",
        choices=("auto", "core", "bcc"),
        default="auto",
        help="how the probes are loaded: core, built before and fitted by libbpf; bcc, compiled now by BCC; "
        "auto, core wherever the kernel lets it",
    )


def _add_rotation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rotate-size",
        metavar="SIZE",
        type=_size,
        default=0,
        help="the trace goes on in another file (TRACE.2, TRACE.3 ...) when it has so many bytes: 64M, 1G",
    )
    parser.add_argument(
        "--rotate-age",
        metavar="TIME",
        type=_seconds,
        default=0.0,
        help="likewise when it is so old: 30m, 24h, 7d",
    )
    parser.add_argument(
        "--rotate-keep",
        metavar="N",
        type=int,
        default=0,
        help="keep the newest N files of the trace and remove older ones (default: keep all)",
    )


def _collector(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("give a URL such as http://127.0.0.1:4318")
    return text


def _nats(text: str) -> str:
    if not is_address(text):
        raise argparse.ArgumentTypeError("give a URL such as nats://127.0.0.1:4222")
    return text


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)([KMGT]?)", text.strip(), re.IGNORECASE)
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError("give a size such as 64M or 1G")
    return int(found[1]) << 10 * " KMGT".index(found[2].upper() or " ")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError("give a time such as 30m or 24h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give one of {', '.join(Level)}") from None
