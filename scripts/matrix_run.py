"""Boots other kernels and runs the kernel tier on each; see scripts/matrix.

A kernel is a Debian package that is unpacked, not installed, below .setup/kernels. The virtual machine
(virtme-ng) has this machine's files as its root, and keeps its changes to itself; results come back through
a folder below .setup/matrix. All is emulated, so that it also runs where there is no KVM.
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
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / ".setup/kernels"
RESULTS = ROOT / ".setup/matrix"
# By version: the package that always depends on the newest image. Not the cloud images: these have no 9p.
PACKAGES = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}
MINUTES = 18  # for one kernel; it takes about 7 on two processors
TEST_SECONDS = 300
PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
COMMAND_LINE = "lsm=landlock,lockdown,bpf"  # bpf last: LSM programs are then asked


class CannotRun(Exception):  # noqa: N818  a fact about the machine, not a mistake
    """Why a kernel cannot be tried here."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one kernel came to: `fine` if nothing failed; `why` says what failed, or why nothing was run."""

    kernel: str
    tier: str = "-"
    loader: str = "-"
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    fine: bool = True
    why: tuple[str, ...] = ()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/matrix", description="The kernel tier on other kernels.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for one kernel; then it has failed")
    parser.add_argument("--budget", metavar="MINUTES", type=float, help="after that, start no further kernel")
    parser.add_argument("kernels", metavar="KERNEL", nargs="*", help=f"default: {' '.join(PACKAGES)}")
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help=argparse.SUPPRESS)
    args = parser.parse_args(["--pytest" if each == "--" else each for each in sys.argv[1:]])
    if unknown := set(args.kernels) - PACKAGES.keys():
        parser.error(f"no kernel {' '.join(sorted(unknown))}: there is {' '.join(PACKAGES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that no machine is left
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    last_start = time.monotonic() + 60 * args.budget if args.budget else float("inf")
    results = []
    for version in args.kernels or PACKAGES:
        if time.monotonic() > last_start:
            results.append(Result(version, why=(f"not run: {args.budget:g} minutes have passed",)))
        else:
            results.append(try_kernel(version, args.minutes * 60, args.pytest, asked=bool(args.kernels)))
    print("\n".join(table(results)))
    return 0 if all(each.fine for each in results) else 1


def try_kernel(version: str, seconds_max: float, pytest: Sequence[str], *, asked: bool) -> Result:
    """`asked`: by name, so that not being able to is a failure."""
    say(f"{version} ...")
    try:
        image = find_image(version)
    except CannotRun as error:
        return Result(version, fine=not asked, why=(f"not run: {error}",))
    results = RESULTS / version
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    begin = time.monotonic()
    ended = boot(image, results, seconds_max, pytest)
    return read_result(image.name.removeprefix("vmlinuz-"), results, time.monotonic() - begin, ended=ended)


# The kernels


def find_image(version: str) -> Path:
    """The kernel, fetched and unpacked if it is not there yet."""
    folder = KERNELS / version
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        unpack(newest_image(PACKAGES[version]), folder)
        (folder / "complete").touch()
    return next((folder / "boot").glob("vmlinuz-*"))


def newest_image(package: str) -> str:
    """The package with the image itself, on which `package` depends."""
    for attempt in ("", "update"):
        if attempt:
            call("apt-get", "--quiet", "update")
        with suppress(CannotRun):
            for line in call("apt-cache", "depends", package).splitlines():
                if line.strip().startswith("Depends: linux-image-"):
                    return line.split()[1]
    raise CannotRun(f"there is no package {package}")


def unpack(package: str, folder: Path) -> None:
    say(f"fetching {package}")
    call("apt-get", "--quiet", "-o", "APT::Sandbox::User=root", "download", package, folder=folder)
    for archive in folder.glob("*.deb"):
        call("dpkg-deb", "--extract", str(archive), str(folder))
        archive.unlink()
    (modules,) = (folder / "lib/modules").iterdir()
    call("depmod", "--basedir", str(folder), modules.name)


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


def boot(image: Path, results: Path, seconds_max: float, pytest: Sequence[str]) -> bool:
    """Run the tests on a kernel. False when they had not ended after `seconds_max`."""
    guest = [str(ROOT / "scripts/matrix_guest"), str(results), str(TEST_SECONDS), *pytest]
    argv = [
        *(str(ROOT / ".venv/bin/vng"), "--disable-kvm", "--run", str(image)),
        *("--memory", "4G", "--cpus", str(min(os.cpu_count() or 1, 4))),
        *("--rwdir", str(results), "--append", COMMAND_LINE, "--", shlex.join(guest)),
    ]
    environment = os.environ | {"PATH": f"{ROOT}/.venv/bin:/usr/sbin:/sbin:{os.environ.get('PATH', '')}"}
    with open(results / "console", "wb") as console:
        machine = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        try:
            machine.wait(seconds_max)
        except subprocess.TimeoutExpired:
            return False
        finally:
            end(machine)
            end_orphans()
    return True


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


def read_result(kernel: str, results: Path, seconds: float, *, ended: bool) -> Result:
    """From the files that the guest left; whatever is not there is a failure."""
    tier = loader = "-"
    with suppress(OSError, ValueError):
        found = json.loads((results / "doctor.json").read_text())
        tier, loader = found["tier"] or "-", found["loader"] or "-"
    try:
        suite = next(ET.parse(results / "report.xml").iter("testsuite"))
    except (OSError, ET.ParseError, StopIteration):
        return Result(
            kernel, tier, loader, seconds=seconds, fine=False, why=why_no_report(results, ended=ended)
        )
    failed = [case for case in suite.iter("testcase") if {each.tag for each in case} & {"failure", "error"}]
    skipped = int(suite.get("skipped", 0))
    return Result(
        kernel,
        tier,
        loader,
        passed=int(suite.get("tests", 0)) - len(failed) - skipped,
        failed=len(failed),
        skipped=skipped,
        seconds=seconds,
        fine=not failed and int(suite.get("tests", 0)) > skipped,
        why=tuple(f"failed: {case.get('classname')}::{case.get('name')}" for case in failed),
    )


def why_no_report(results: Path, *, ended: bool) -> tuple[str, ...]:
    what = "the machine ended before the tests did" if ended else "the tests did not end in time"
    for name in ("log", "console"):
        with suppress(OSError):
            if lines := (results / name).read_text(errors="replace").splitlines()[-5:]:
                return (f"{what}; {results / name} ends:", *lines)
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
