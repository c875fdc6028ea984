"""Boots other kernels and runs the kernel tier on each; see scripts/matrix.

A kernel is a Debian package that is unpacked, not installed, below .setup/kernels. The virtual machine
(virtme-ng) has this machine's files as its root, and keeps its changes to itself; results come back through
a folder below .setup/matrix. All is emulated, so that it also runs where there is no KVM; as that is slow,
a machine is booted once for all rows of its kernel.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

import matrix_routes

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / ".setup/kernels"
RESULTS = ROOT / ".setup/matrix"
# By version: the package that always depends on the newest image. Not the cloud images: these have no 9p.
PACKAGES = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64", "5.10": "linux-image-amd64"}
SUITES = {"5.10": "bullseye"}  # of an older Debian, which this machine's apt need not know
REFUSES = frozenset({"5.10"})  # too old: what is wanted there is a clear refusal
ARCHIVE, KEYS = "http://deb.debian.org/debian", "/usr/share/keyrings/debian-archive-keyring.gpg"
HERE, BEST = "host", "best"  # this machine itself, on the best tier that it takes
# Tiers and loaders. `headers` is BCC where the kernel's BTF is hidden, so that its headers count.
EACH = (("A", "core"), ("B", "core"), ("B", "bcc"))
ROWS = {
    "6.1": (*EACH, ("B", "headers")),
    "6.12": EACH,
    "5.10": ((BEST, "core"),),
    HERE: ((BEST, "core"), ("B", "bcc")),
}
README = ROOT / "probes/README.md"
MINUTES = 25  # for one row; it takes about 8 on two processors
SHORT = ("-m", "short")
SHORT_ROWS = ("6.1/A/core", "6.1/B/headers", "6.12/A/core", "6.12/B/bcc")
SHORT_MINUTES, SHORT_BUDGET = 8, 12  # what has begun by then may end
BOOT_SECONDS = 120
TEST_SECONDS = 300
TOO_LATE = "the time for all of them is over"
PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
# BPF programs are asked as a security module; Debian's kernels have x32, and want to be told so.
COMMAND_LINE = "lsm=landlock,lockdown,bpf syscall.x32=y"


class CannotRun(Exception):  # noqa: N818  a fact about the machine, not a mistake
    """Why a kernel cannot be tried here."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is tried: a kernel by version, a tier, a loader."""

    version: str
    tier: str
    loader: str

    @property
    def words(self) -> str:
        return f"{self.tier}/{self.loader}"

    @property
    def folder(self) -> Path:
        return RESULTS / f"{self.version}-{self.tier}-{self.loader}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one row came to: `fine` if nothing failed; `why` says what failed, or why nothing was run."""

    kernel: str
    tier: str
    loader: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    fine: bool = True
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds: for one row, which has failed then; since `begin`, after which no further row begins."""

    row: float
    budget: float
    begin: float

    @property
    def left(self) -> float:
        return self.budget - (time.monotonic() - self.begin)

    def share(self, kernels: int) -> Limits:
        """What the next of so many kernels may take of the time that is left."""
        return Limits(self.row, self.left / kernels, time.monotonic())


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/matrix", description="The kernel tier on other kernels.")
    parser.add_argument("--minutes", type=float, help="for one row; then it has failed")
    parser.add_argument("--budget", metavar="MINUTES", type=float, help="after that, begin no further row")
    parser.add_argument(
        "--short", action="store_true", help="some tests of each family, as scripts/test does"
    )
    parser.add_argument("--write", action="store_true", help="the routes found into probes/README.md")
    parser.add_argument(
        "wanted",
        metavar="KERNEL[/TIER[/LOADER]]",
        nargs="*",
        help=f"default: {' '.join(PACKAGES)}; {HERE} is this machine",
    )
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help=argparse.SUPPRESS)
    args = parser.parse_args(["--pytest" if each == "--" else each for each in sys.argv[1:]])
    try:
        rows = rows_of(args.wanted or (SHORT_ROWS if args.short else PACKAGES))
    except ValueError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that no machine is left
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    budget = args.budget or (SHORT_BUDGET if args.short else 24 * 60)
    minutes = args.minutes or (SHORT_MINUTES if args.short else MINUTES)
    limits = Limits(minutes * 60, budget * 60, time.monotonic())
    pytest = [*(SHORT if args.short else ()), *args.pytest]
    results = []
    kernels = [tuple(group) for _version, group in groupby(rows, lambda row: row.version)]
    for number, group in enumerate(kernels):
        results += try_rows(group, limits.share(len(kernels) - number), pytest, asked=bool(args.wanted))
    print("\n".join(table(results)))
    if args.write:
        names = matrix_routes.marked(ROOT / "tests/kernel")
        found = matrix_routes.renewed(matrix_routes.written(README), matrix_routes.columns(RESULTS))
        matrix_routes.write(README, list(matrix_routes.table(found, names)))
    return 0 if all(each.fine for each in results) else 1


def rows_of(wanted: Sequence[str]) -> list[Row]:
    """What was asked for, kernel by kernel, each once; last what hides the BTF of a machine for all that
    follows in it. Raises ValueError."""
    rows = dict.fromkeys(row for each in wanted for row in rows_of_one(each))
    kernels = list(dict.fromkeys(row.version for row in rows))
    return sorted(rows, key=lambda row: (kernels.index(row.version), row.loader == "headers"))


def rows_of_one(wanted: str) -> list[Row]:
    version, *narrower = wanted.split("/")
    rows = [Row(version, *each) for each in ROWS.get(version, ()) if each[: len(narrower)] == tuple(narrower)]
    if not rows:
        known = " ".join(f"{each}/{tier}/{loader}" for each in ROWS for tier, loader in ROWS[each])
        raise ValueError(f"no {wanted}: there is {known}")
    return rows


def not_run(row: Row, why: str, *, fine: bool) -> Result:
    return Result(row.version, row.tier, row.loader, fine=fine, why=(f"not run: {why}",))


def try_rows(rows: Sequence[Row], limits: Limits, pytest: Sequence[str], *, asked: bool) -> list[Result]:
    """All of one kernel. `asked`: by name, so that not being able to is a failure."""
    version = rows[0].version
    say(f"{version}: {' '.join(row.words for row in rows)} ...")
    if limits.left <= 0:
        return [not_run(row, TOO_LATE, fine=True) for row in rows]
    if version == HERE:
        return [try_here(row, pytest) for row in rows]
    try:
        image = find_image(version, headers=any(row.loader == "headers" for row in rows))
    except CannotRun as error:
        return [not_run(row, str(error), fine=not asked) for row in rows]
    for row in rows:
        make_empty(row.folder)
    ended = boot(image, rows, limits, pytest)
    return [read_result(row, image.name.removeprefix("vmlinuz-"), ended=ended) for row in rows]


def try_here(row: Row, pytest: Sequence[str]) -> Result:
    """All of the kernel tier, also what is too much for an emulated processor."""
    make_empty(row.folder)
    begin = time.monotonic()
    call_into(row.folder / "doctor.json", "-I", "tracer/cli/__main__.py", "doctor", "--json")
    report = f"--junitxml={row.folder / 'report.xml'}"
    call_into(
        row.folder / "log", "-m", "pytest", "tests/kernel", report, *pytest, RUBICON_TEST_LOADER=row.loader
    )
    (row.folder / "seconds").write_text(f"{time.monotonic() - begin:.0f}")
    return read_result(row, os.uname().release, ended=True)


def call_into(file: Path, *arguments: str, **environment: str) -> None:
    """Run Python with its output in a file; what went wrong is seen in that."""
    argv = [ROOT / ".venv/bin/python", *arguments]
    with open(file, "wb") as output:
        subprocess.run(argv, cwd=ROOT, env=os.environ | environment, stdout=output, check=False)


def make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


# The kernels


def find_image(version: str, *, headers: bool) -> Path:
    """The kernel, fetched and unpacked if it is not there yet; with its headers, if those are wanted."""
    folder = KERNELS / version
    options = apt_options(SUITES.get(version, ""))
    has_image, has_headers = folder / "image-complete", folder / "headers-complete"
    if not has_image.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        unpack((newest_image(PACKAGES[version], options),), options, folder)
        (modules,) = (folder / "lib/modules").iterdir()
        call("depmod", "--basedir", str(folder), modules.name)
        has_image.touch()
    image = next((folder / "boot").glob("vmlinuz-*"))
    if headers and not has_headers.exists():
        name = image.name.replace("vmlinuz", "linux-headers")
        unpack((name, f"{name.rpartition('-')[0]}-common"), options, folder)
        has_headers.touch()
    return image


def apt_options(suite: str) -> list[str]:
    """For apt to look into that suite alone, and to keep what it finds apart; none for this machine's own."""
    if not suite:
        return []
    folder = KERNELS / suite
    for each in ("lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {ARCHIVE} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def newest_image(package: str, options: Sequence[str]) -> str:
    """The package with the image itself, on which `package` depends."""
    for attempt in ("", "update"):
        if attempt:
            call("apt-get", *options, "--quiet", "update")
        with suppress(CannotRun):
            for line in call("apt-cache", *options, "depends", package).splitlines():
                if line.strip().startswith("Depends: linux-image-"):
                    return line.split()[1]
    raise CannotRun(f"there is no package {package}")


def unpack(packages: Sequence[str], options: Sequence[str], folder: Path) -> None:
    say(f"fetching {' '.join(packages)}")
    call(
        *("apt-get", "--quiet", "-o", "APT::Sandbox::User=root", *options, "download", *packages),
        folder=folder,
    )
    for archive in folder.glob("*.deb"):
        call("dpkg-deb", "--extract", str(archive), str(folder))
        archive.unlink()


def call(*argv: str, folder: Path = ROOT) -> str:
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotRun(f"{argv[0]}: {error.strerror}") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word why"]
        raise CannotRun(f"{shlex.join(argv)}: {last[0]}")
    return done.stdout


# The virtual machine


def boot(image: Path, rows: Sequence[Row], limits: Limits, pytest: Sequence[str]) -> bool:
    """Run the tests on a kernel. False when they had not ended in time."""
    numbers = [str(round(each)) for each in (TEST_SECONDS, limits.row, limits.left)]
    guest = [ROOT / "scripts/matrix_guest", image.parents[1], *numbers]
    for row in rows:
        guest += [row.folder, row.tier, row.loader]
    argv = [
        *(str(ROOT / ".venv/bin/vng"), "--disable-kvm", "--run", str(image)),
        *("--memory", "4G", "--cpus", str(min(os.cpu_count() or 1, 4))),
        *("--rwdir", str(RESULTS), "--append", COMMAND_LINE),
        *("--", shlex.join(map(str, [*guest, "--", *pytest]))),
    ]
    environment = os.environ | {"PATH": f"{ROOT}/.venv/bin:/usr/sbin:/sbin:{os.environ.get('PATH', '')}"}
    with open(console_of(rows[0]), "wb") as console:
        machine = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        try:
            machine.wait(BOOT_SECONDS + limits.row * len(rows))
        except subprocess.TimeoutExpired:
            return False
        finally:
            end(machine)
            end_orphans()
    return True


def console_of(row: Row) -> Path:
    return RESULTS / f"{row.version}.console"


def end(machine: subprocess.Popen[bytes]) -> None:
    """It and all below it: virtme-ng starts a shell, which starts the emulator, which could outlive both."""
    if machine.poll() is None:
        kill(*descendants(machine.pid), machine.pid)
        machine.wait()


def end_orphans() -> None:
    """Whatever a machine left behind: as the subreaper we are its parent now. Nothing else is our child."""
    kill(*descendants(os.getpid()))


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child
            yield from descendants(child)


# What came of it


def read_result(row: Row, kernel: str, *, ended: bool) -> Result:
    """From the files that the guest left; whatever is not there is a failure."""
    result = Result(kernel, row.tier, row.loader)
    if (row.folder / "late").exists():
        return replace(result, why=(f"not run: {TOO_LATE}",))
    with suppress(OSError, ValueError):
        result = replace(result, seconds=float((row.folder / "seconds").read_text()))
    if problem := refusal(row.folder):
        return replace(result, fine=row.version in REFUSES, why=(f"refused: {problem}",))
    try:
        suite = next(ET.parse(row.folder / "report.xml").iter("testsuite"))
    except (OSError, ET.ParseError, StopIteration):
        return replace(result, fine=False, why=why_no_report(row, ended=ended))
    failed = [case for case in suite.iter("testcase") if {each.tag for each in case} & {"failure", "error"}]
    skipped = int(suite.get("skipped", 0))
    return replace(
        result,
        passed=int(suite.get("tests", 0)) - len(failed) - skipped,
        failed=len(failed),
        skipped=skipped,
        fine=not failed and int(suite.get("tests", 0)) > skipped and row.version not in REFUSES,
        why=tuple(f"failed: {case.get('classname')}::{case.get('name')}" for case in failed),
    )


def refusal(results: Path) -> str:
    """What Rubicon says on a kernel where it does not load; "" where it does, or said nothing."""
    with suppress(OSError, ValueError):
        return str(json.loads((results / "doctor.json").read_text())["problem"])
    return ""


def why_no_report(row: Row, *, ended: bool) -> tuple[str, ...]:
    what = "the machine ended before the tests did" if ended else "the tests did not end in time"
    for said in (row.folder / "log", console_of(row)):
        with suppress(OSError):
            if lines := said.read_text(errors="replace").splitlines()[-5:]:
                return (f"{what}; {said} ends:", *lines)
    return (what,)


def table(results: Sequence[Result]) -> Iterator[str]:
    yield f"{'kernel':<26}{'tier':<6}{'loader':<8}{'passed':>7}{'failed':>8}{'skipped':>9}{'seconds':>9}"
    for each in results:
        yield (
            f"{each.kernel:<26}{each.tier:<6}{each.loader:<8}{each.passed:>7}{each.failed:>8}"
            f"{each.skipped:>9}{each.seconds:>9.0f}"
        )
        yield from (f"  {line}" for line in each.why)


def say(what: str) -> None:
    print(f"matrix: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
