"""Traces of several machines in one NATS server, which is stopped and started again meanwhile."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .driver import Rubicon, until

pytestmark = pytest.mark.skipif(
    shutil.which("nats-server") is None, reason="nats-server is not installed (scripts/setup dev does it)"
)
LOOP = "i=0; while [ ! -e stop ]; do echo $i >>out; /bin/true; i=$((i + 1)); sleep 0.05; done"


class Server:
    """With JetStream, on a port and a folder that stay the same."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self._folder / "nats.log"
        command = [
            "nats-server",
            "--addr",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--jetstream",
            "--log",
            log,
        ]
        self._process = subprocess.Popen(
            [*command, "--store_dir", self._folder / "store"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: log.exists() and "Server is ready" in log.read_text(), "the server to be ready")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
            (self._folder / "nats.log").unlink(missing_ok=True)

    def messages(self) -> list[tuple[str, str]]:
        """Subject and block of each message there is."""

        async def ask() -> list[tuple[str, str]]:
            import nats
            from nats.js.errors import NotFoundError

            client = await nats.connect(self.url)
            stream, found, number = client.jetstream(), [], 1
            try:
                while True:
                    message = await stream.get_msg("RUBICON", seq=number, subject="rubicon.>", next=True)
                    found.append((message.subject or "", (message.headers or {})["Rubicon-Block"]))
                    number = (message.seq or 0) + 1
            except NotFoundError:
                return found
            finally:
                await client.close()

        return asyncio.run(ask())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.timeout(180)
def test_a_server_that_goes_and_comes_has_every_block_once(rubicon: Rubicon, server: Server) -> None:
    """It comes after the session began, goes, and comes again; what it then has is the trace."""
    policy = rubicon.policy(f"files: {{write: ['{rubicon.work}/out']}}\n")
    started = rubicon.start(
        "run", "--policy", policy, "--nats", server.url, "--trace", rubicon.trace, "--", "sh", "-c",
        f"{LOOP}; echo >bad",
    )  # fmt: skip
    started.says("what is recorded meanwhile is published later")
    server.start()
    started.says("published again")
    until(lambda: len(server.messages()) > 5, "some blocks to be published while it runs")
    server.stop()
    until(lambda: started.err.count("published later") == 2, "it to be missed")
    server.start()
    until(lambda: started.err.count("published again") == 2, "it to be found again")
    (rubicon.work / "stop").touch()
    assert started.end() == 0, started.err
    assert "blocks published" in started.err

    found = server.messages()
    assert [number.split()[0] for _, number in found] == [str(number) for number in range(len(found))]
    assert len({subject for subject, _ in found}) == 1
    session = found[0][0].rpartition(".")[2]
    away = f"{server.url}/{session}"
    fetched = json.loads(rubicon.do("verify", "--json", away).stdout)
    here = json.loads(rubicon.do("verify", "--json", rubicon.trace).stdout)
    assert {**fetched, "trace": ""} == {**here, "trace": ""}
    assert (fetched["state"], fetched["sealed"]["head"] != "") == ("intact", True)
    exported = rubicon.do("export", away, "--format", "jsonl")
    assert exported.returncode == 0, exported.stderr
    assert [json.loads(line) for line in exported.stdout.splitlines()] == rubicon.export()
    assert rubicon.do("steps", away).returncode == 0
    again = rubicon.do("publish", rubicon.trace, server.url)
    assert again.returncode == 0
    assert server.messages() == found, "the server has it already"


@pytest.mark.timeout(180)
def test_sessions_of_many_machines_are_told_apart_and_shown(rubicon: Rubicon, server: Server) -> None:
    server.start()
    for number in range(3):
        trace = rubicon.folder / f"{number}.trace"
        done = rubicon.do("run", "--nats", server.url, "--trace", trace, "--", "sh", "-c", f"echo >{number}")
        assert done.returncode == 0, done.stderr
    subjects = dict.fromkeys(subject for subject, _ in server.messages())
    assert len(subjects) == 3
    several = rubicon.do("export", server.url, "--format", "jsonl")
    assert (several.returncode, "name one of its sessions" in several.stderr) == (2, True)
    none = rubicon.do("export", f"{server.url}/none", "--format", "jsonl")
    assert (none.returncode, "there is no such session" in none.stderr) == (2, True)
    picture = rubicon.folder / "watch.svg"
    session = list(subjects)[1].rpartition(".")[2]
    done = rubicon.do("watch", f"{server.url}/{session}", "--picture", picture, "--screen", "files")
    assert done.returncode == 0, done.stderr
    assert "work" in picture.read_text()


@pytest.mark.timeout(180)
def test_a_session_that_is_cut_off_ends_there_too(rubicon: Rubicon, server: Server) -> None:
    server.start()
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", LOOP)
    until((rubicon.work / "out").exists, "the session to run")
    publishing = rubicon.start("publish", rubicon.trace, server.url)
    until(lambda: len(server.messages()) > 3, "some blocks to be published")
    rubicon.adopt(started)
    started.process.kill()
    started.process.wait()
    assert publishing.end() == 0, publishing.err
    session = server.messages()[0][0].rpartition(".")[2]
    assert json.loads(rubicon.do("verify", "--json", f"{server.url}/{session}").stdout)["state"] == "cut"


def test_no_server_is_said(rubicon: Rubicon, server: Server) -> None:
    done = rubicon.do("export", f"{server.url}/x", "--format", "jsonl")
    assert (done.returncode, "cannot reach nats://127.0.0.1:" in done.stderr) == (1, True)
    done = rubicon.do("run", "--nats", "nowhere", "--", "true")
    assert (done.returncode, "give a URL such as" in done.stderr) == (2, True)
