"""scripts/rubicon from the first use on: what is made, what is said, and what must not reach the program."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from .checkout import ROOT, Checkout, make_checkout

UNREADABLE = "rubicon: there is no trace or session nothing\n"


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path)


@pytest.fixture
def ready(fresh: Checkout) -> Checkout:
    fresh.set_up()
    return fresh


def verify(checkout: Checkout, cwd: Path = Path("/"), **env: str) -> subprocess.CompletedProcess[str]:
    return checkout.run(checkout.rubicon, "verify", "nothing", cwd=cwd, env=env)


def assert_started(done: subprocess.CompletedProcess[str]) -> None:
    """The program ran, and nothing but its own line was said."""
    assert (done.returncode, done.stdout, done.stderr) == (2, "", UNREADABLE)


def test_first_use_shows_each_step_and_runs(fresh: Checkout) -> None:
    done = verify(fresh)
    assert done.returncode == 2
    for line in ("python venv ...", "python packages ...", "probes ...", "set up\n"):
        assert line in done.stderr
    assert done.stderr.endswith(UNREADABLE)
    assert done.stdout == ""
    (pip,) = (call for call in fresh.called("python") if " pip " in call)
    assert "--constraint" in pip
    assert "pydantic" in pip
    assert "hypothesis" not in pip


def test_later_uses_are_silent_and_start_nothing(ready: Checkout) -> None:
    assert_started(verify(ready))
    assert not ready.called("make") + ready.called("apt-get") + ready.called("python")


def test_only_what_is_missing_is_installed(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path, without="clang")
    assert verify(checkout).returncode == 2
    update, install = checkout.called("apt-get")
    assert update.endswith(" update")
    assert install.endswith(" --no-install-recommends clang")


@pytest.mark.parametrize(
    ("failing", "step", "command"),
    [
        ("apt", "system packages", "apt-get"),
        ("venv", "python venv", "-m venv"),
        ("pip", "python packages", "-m pip install"),
        ("make", "probes", "make -C"),
    ],
)
def test_a_failing_step_is_named_with_its_reason(
    failing: str, step: str, command: str, tmp_path: Path
) -> None:
    checkout = make_checkout(tmp_path, failing=failing, without="clang" if failing == "apt" else "")
    done = verify(checkout)
    assert done.returncode == 1
    assert f'rubicon: set-up failed at "{step}" (exit status 3)\n' in done.stderr
    assert done.stderr.endswith(f"    | {failing} has no luck\n")
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("  command: "))
    assert command in line
    assert verify(checkout).returncode == 1, "a failure must not pass for a finished set-up"


def test_a_half_made_venv_is_made_again(ready: Checkout) -> None:
    leftover = ready.root / ".venv/leftover"
    leftover.touch()
    (ready.root / ".venv/stamp-runtime").unlink()
    assert verify(ready).returncode == 2
    assert not leftover.exists()
    assert_started(verify(ready))


def test_changed_pins_are_installed_into_the_venv(ready: Checkout) -> None:
    with (ready.root / "scripts/constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert verify(ready).returncode == 2
    assert [" pip " in call for call in ready.called("python")] == [True]


def test_changed_probes_are_built_again(ready: Checkout) -> None:
    later = time.time() + 10  # a file's time may be as coarse as a tick of the kernel's clock
    os.utime(ready.root / "probes/abi.h", (later, later))
    assert verify(ready).returncode == 2
    assert len(ready.called("make")) == 1
    assert not ready.called("python")


def test_changed_rules_of_the_pack_are_read_again(ready: Checkout) -> None:
    pack = ready.root / "probes/build/pack.json"
    assert b"Reverse SSH tunnel" in pack.read_bytes()
    rule = ready.root / "tracer/rules/packs/tunnels/reverse_ssh_tunnel.yml"
    rule.write_text(rule.read_text().replace("Reverse SSH tunnel", "Another title"))
    later = pack.stat().st_mtime + 2
    os.utime(rule, (later, later))
    assert ready.run(ready.rubicon, "--version").returncode == 0
    assert b"Another title" in pack.read_bytes()


def test_two_first_uses_at_once(fresh: Checkout) -> None:
    both = [fresh.start(fresh.rubicon, "verify", "nothing") for _ in range(2)]
    said = [process.communicate(timeout=30)[1] for process in both]
    assert [process.returncode for process in both] == [2, 2]
    assert len(fresh.called("make")) == 1
    assert sum("another set-up is at work" in text for text in said) == 1


def test_through_a_link_from_the_users_directory(ready: Checkout, tmp_path: Path) -> None:
    link = tmp_path / "bin with space"
    link.mkdir()
    (link / "rubicon").symlink_to(ready.rubicon)
    (tmp_path / "here").write_text("no trace")
    done = ready.run(str(link / "rubicon"), "verify", "here", cwd=tmp_path)
    assert done.stderr == "rubicon: here is not a trace\n"


@pytest.mark.parametrize(
    "name", ["tracer.py", "pydantic.py", "argparse.py", "sitecustomize.py", "zstandard.py"]
)
def test_the_working_directory_brings_no_code_in(name: str, ready: Checkout, tmp_path: Path) -> None:
    trap = tmp_path / "agent"
    (trap / "tracer").mkdir(parents=True)
    evil = f"open({str(tmp_path / 'caught')!r}, 'w').close()\nraise SystemExit(99)\n"
    (trap / name).write_text(evil)
    (trap / "tracer/__init__.py").write_text(evil)
    assert_started(verify(ready, cwd=trap))
    assert_started(verify(ready, cwd=trap, PYTHONPATH=str(trap), PYTHONSTARTUP=str(trap / name)))
    assert not (tmp_path / "caught").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONHOME", "/nowhere"),
        ("PYTHONPATH", "/nowhere"),
        ("PYTHONWARNINGS", "error"),
        ("PYTHONINSPECT", "1"),
        ("PYTHONDEVMODE", "1"),
        ("PYTHONIOENCODING", "utf-16"),
        ("BASH_ENV", "/dev/full"),
        ("CDPATH", "/tmp"),
        ("rubicon_root", "/nowhere"),
    ],
)
def test_the_users_variables_do_no_harm(name: str, value: str, ready: Checkout) -> None:
    assert_started(verify(ready, **{name: value}))


def test_the_command_gets_the_environment_as_it_was(tmp_path: Path) -> None:
    """Names that no shell takes, exported functions, and nothing of what Python sets in a C locale."""
    given = {
        b"PATH": os.environb[b"PATH"],
        b"PWD": os.fsencode(tmp_path),
        b"SHLVL": b"7",
        b"LANG": b"C",
        b"PYTHONPATH": b"/nowhere",
        b"BASH_ENV": b"/dev/full",
        b"BASH_FUNC_f%%": b"() { :; }",
        b"a.b": b"\xff\n\x1b[2J",
        b"HOME": b"",
    }
    program = ROOT / "scripts/rubicon"
    done = subprocess.run(
        [program, "run", "--trace", tmp_path / "t", "--", "/usr/bin/env", "-0"],
        cwd=tmp_path,
        env=given,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got = dict(variable.split(b"=", 1) for variable in done.stdout.split(b"\0") if variable)
    assert got == given | {b"RUBICON_STEPS": os.fsencode(tmp_path / "t.steps")}  # where steps are told


def test_a_read_only_checkout(ready: Checkout) -> None:
    program = (
        'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; ! touch "$1/x" 2>&- || exit 78'
    )
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'{program}; exec "$1/scripts/rubicon" verify nothing',
            "sh",
            ready.root,
        ],
        cwd="/",
        env={**ready.environment, "PATH": f"{ready.tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in {1, 77}:
        pytest.skip("this machine refuses a mount namespace")
    assert_started(done)


def test_not_set_up_and_not_writable() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # pytest's own folder is closed to other users
        fresh = make_checkout(Path(folder))
        nobody = ("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        done = fresh.run(*nobody, fresh.rubicon, "verify", "nothing")
    assert done.returncode == 1
    assert done.stderr == f"rubicon: {fresh.root} is not set up for you, and you may not write to it\n"
