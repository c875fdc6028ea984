"""Runs the commands of `benign.d` under watch and counts what Rubicon says to them.

A file there is a section: what an agent types, each line run by `bash -c` in a folder of the section, in
order; a line that begins with a tab goes on with the one before. In braces: {python} is one with pytest,
{wheels} a folder of wheels, {port} a free port, {host} what ssh may reach by {ssh_config}, with the folder
{remote} and the {repository} in it.

In a network namespace of its own, with nothing but loopback, with a home and a workspace in a temporary
folder. The host is an sshd on loopback, started outside the watch. Exit status 1 when there is a violation at
medium or above, or something was lost.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = Path(__file__).with_name("benign.d")
MAIN = [sys.executable, "-I", str(ROOT / "tracer/cli/__main__.py")]
SSHD = Path("/usr/sbin/sshd")
PORT = "8123"
SECONDS_MAX = 120  # of one command
LEVELS = ("critical", "high", "medium", "low", "informational")
TOLD = ("critical", "high", "medium")


def main() -> int:
    args = parsed()
    if args.agent:
        return agent(json.loads(Path(args.agent).read_text()))
    if not args.inside:
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", "-E", "-s", *sys.argv, "--inside"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="benign") as name, allowed_host(Path(name)) as host:
        result = watched_day(Path(name), args.sample, host, args.trace)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return int(any(result["violations"].get(level) for level in TOLD) or result["lost"] > 0)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/benign")
    parser.add_argument("--sample", type=int, metavar="N", help="only the first N commands of each section")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures as JSON")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="keep the trace")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--agent", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the world --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def allowed_host(folder: Path) -> Iterator[Mapping[str, str]]:
    """An sshd on loopback with keys and files of its own; nothing when there is none to be had."""
    if not SSHD.exists():
        yield {}
        return
    place = folder / "host"
    place.mkdir(mode=0o700)
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key], check=True)
    (place / "known").write_text(f"127.0.0.1 {(place / 'host_key.pub').read_text()}")
    (place / "sshd_config").write_text(
        f"Port 22\nListenAddress 127.0.0.1\nHostKey {place}/host_key\nPidFile none\nUsePAM no\n"
        "StrictModes no\n"
        f"AuthorizedKeysFile {place}/user_key.pub\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    (place / "ssh_config").write_text(
        f"Host *\nHostName 127.0.0.1\nIdentityFile {place}/user_key\nUserKnownHostsFile {place}/known\n"
        "BatchMode yes\n"
    )
    (place / "files").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", place / "files/repo.git"], check=True)
    separation = Path("/run/sshd")
    made = not separation.exists()
    separation.mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-q", "-f", place / "sshd_config"])
    try:
        yield {
            "{host}": "worker",
            "{ssh_config}": str(place / "ssh_config"),
            "{remote}": str(place / "files"),
            "{repository}": str(place / "files/repo.git"),
        }
    finally:
        server.terminate()
        server.wait()
        if made:
            separation.rmdir()


def make_wheels(folder: Path) -> None:
    """Of a package `tally`, in two versions."""
    folder.mkdir()
    for version in ("1.0", "1.1"):
        info = f"tally-{version}.dist-info"
        files = {
            "tally/__init__.py": "def count(items):\n    return len(items)\n\ndef main():\n    print(0)\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tally\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": "[console_scripts]\ntally = tally:main\n",
        }
        record = "".join(f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items())
        with zipfile.ZipFile(folder / f"tally-{version}-py3-none-any.whl", "w") as wheel:
            for name, text in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}).items():
                wheel.writestr(name, text)


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def commands(sample: int | None, words: Mapping[str, str]) -> dict[str, list[str]]:
    """By section, with what stands in braces put in; without sections whose programs are not there."""
    needs = {"rust": "cargo", "node": "npm", "databases": "sqlite3", "editors": "vim"}
    found = {}
    for file in sorted(COMMANDS.glob("*.txt")):
        name = file.stem
        if (name in needs and not shutil.which(needs[name])) or (name == "remote" and "{host}" not in words):
            print(f"without {name}: its programs are not here", file=sys.stderr)
            continue
        text = file.read_text().replace("\n\t", "\0")
        for word, value in words.items():
            text = text.replace(word, value)
        found[name] = [line.replace("\0", "\n") for line in text.splitlines()[:sample]]
    return found


# --- the agent --------------------------------------------------------------------------------------------


def agent(sections: Mapping[str, Sequence[str]]) -> int:
    """What is watched: starts each command as a coding agent does, and tells which failed."""
    failed = []
    for name, lines in sections.items():
        folder = Path.cwd() / name
        folder.mkdir()
        for line in lines:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS_MAX,
                check=False,
            )
            if done.returncode:
                failed.append(
                    {"section": name, "command": line, "error": done.stderr.decode("utf-8", "replace")[-300:]}
                )
    Path("failed.json").write_text(json.dumps(failed))
    return 0


# --- the watch --------------------------------------------------------------------------------------------


def watched_day(
    folder: Path, sample: int | None, host: Mapping[str, str], keep: Path | None
) -> dict[str, Any]:
    home, workspace, wheels = folder / "home", folder / "work", folder / "wheels"
    home.mkdir()
    workspace.mkdir()
    make_wheels(wheels)
    words = {"{python}": sys.executable, "{wheels}": str(wheels), "{port}": PORT, **host}
    sections = commands(sample, words)
    (folder / "day.json").write_text(json.dumps(sections))
    trace = keep or folder / "day.trace"
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "RUBICON_TRACES": str(folder),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
    }
    day = [sys.executable, "-B", "-E", "-s", __file__, "--agent", str(folder / "day.json")]
    done = subprocess.run(
        [*MAIN, "run", "--policy", "coding-agent", "--trace", trace, "--", *day],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    failed = json.loads((workspace / "failed.json").read_text())
    return {"commands": sum(map(len, sections.values())), "failed": failed, **judged(trace, environment)}


def judged(trace: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    command = [*MAIN, "export", str(trace), "--format", "jsonl"]
    export = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, text=True, check=True)
    *documents, summary = map(json.loads, export.stdout.splitlines())
    alerts = [each for each in documents if each["event"]["kind"] == "alert"]
    rules = Counter((each["rule"]["level"], each["rule"]["name"]) for each in alerts)
    facts = summary["rubicon"]["summary"]
    return {
        "events": facts["events"],
        "lost": sum(facts["losses"].values()) + facts.get("unjudged", 0),
        "violations": dict(Counter(each["rule"]["level"] for each in alerts)),
        "rules": [{"level": level, "rule": rule, "count": n} for (level, rule), n in rules.most_common()],
        "messages": sorted({each["message"] for each in alerts if each["rule"]["level"] in TOLD}),
    }


def table(result: Mapping[str, Any]) -> str:
    failed = len(result["failed"])
    figures = f"{result['events']:,} events, {result['lost']} lost"
    lines = [
        f"{result['commands']} distinct commands ({failed} of them ended with an error), {figures}.",
        "",
        "| level | violations | by rule |",
        "|---|---|---|",
    ]
    for level in LEVELS:
        found = [each for each in result["rules"] if each["level"] == level]
        rules = ", ".join(f"{each['rule']}: {each['count']}" for each in found)
        lines.append(f"| {level} | {result['violations'].get(level, 0)} | {rules} |")
    return "\n".join([*lines, *(f"  {message}" for message in result["messages"])])


if __name__ == "__main__":
    sys.exit(main())
