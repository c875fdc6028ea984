"""Known numbers of known things by sh, Python and C: the export holds exactly these."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .driver import PROGRAMS, PYTHON, Document, Events, Rubicon, compile_c, counted

SH = os.path.realpath("/bin/sh")
TRUE = os.path.realpath("/bin/true")
CAT = os.path.realpath("/bin/cat")


@dataclass(frozen=True)
class Peers:
    """Addresses on this machine that let in and that refuse."""

    open_port: int
    closed_port: int
    open_socket: str
    closed_socket: str

    @property
    def words(self) -> list[str]:
        return [str(self.open_port), str(self.closed_port), self.open_socket, self.closed_socket]


@contextmanager
def opened(folder: Path) -> Iterator[Peers]:
    """What refuses is bound and does not listen, so that nobody else can have the address meanwhile."""
    with ExitStack() as stack:

        def bound(kind: socket.AddressFamily, address: tuple[str, int] | str) -> socket.socket:
            server = stack.enter_context(socket.socket(kind))
            server.bind(address)
            return server

        servers = [bound(socket.AF_INET, ("127.0.0.1", 0)) for _ in range(2)]
        paths = [str(folder / name) for name in ("open", "closed")]
        sockets = [bound(socket.AF_UNIX, path) for path in paths]
        servers[0].listen(20)
        sockets[0].listen(20)
        ports = [server.getsockname()[1] for server in servers]
        yield Peers(ports[0], ports[1], paths[0], paths[1])


@dataclass(frozen=True)
class Played:
    folder: Path
    peers: Peers
    events: Events
    summary: Document
    words: list[str]  # of the script
    parts: list[list[str]]  # command lines of the two parts


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    rubicon = Rubicon(tmp_path_factory.mktemp("mixed").resolve())
    rubicon.work.mkdir()
    with opened(rubicon.folder) as peers:
        return play(rubicon, peers)


def play(rubicon: Rubicon, peers: Peers) -> Played:
    program = compile_c("part", rubicon.folder)
    words = [SH, str(PROGRAMS / "mixed.sh"), PYTHON, str(PROGRAMS / "part.py"), str(program), *peers.words]
    done = rubicon.run(*words)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.splitlines()[:-1] == ["number 4"], "the command's own words, and one line of ours"
    assert rubicon.verify() == (0, "intact")
    *_, summary = rubicon.export()
    parts = [[PYTHON, "-I", "-S", str(PROGRAMS / "part.py"), *peers.words], [str(program), *peers.words]]
    return Played(rubicon.work, peers, rubicon.events(), summary["rubicon"]["summary"], words, parts)


def test_the_numbers(played: Played) -> None:
    assert played.summary["verdict"] == "clean"
    assert played.summary["actions"] == {
        "fork": 21,
        "exec": 23,
        "exit": 22,
        "connect": 17,
        "flow": 9,
        "file_write": 31,
        "file_close": 31,
        "file_rename": 7,
        "file_unlink": 3,
    }
    assert played.events.actions == played.summary["actions"]
    assert {each["rubicon"]["evidence"] for each in played.events.of("file_write")} == {"kernel"}


def test_who_ran_what_and_who_started_it(played: Played) -> None:
    script, python, program = played.words, *played.parts
    expected = [
        ("", SH, script),
        (SH, os.path.realpath("/bin/rm"), ["/bin/rm", "sh-3"]),
        *((SH, os.path.realpath("/bin/mv"), ["/bin/mv", *names]) for names in RENAMED_BY_SH),
        (SH, os.path.realpath("/usr/bin/env"), ["/usr/bin/env", "/bin/true", "from env"]),
        (SH, TRUE, ["/bin/true", "from env"]),
        (SH, CAT, ["/bin/cat", "sh-4"]),
        (SH, CAT, ["/bin/cat"]),
        (SH, SH, ["/bin/sh", "-c", "exit 0"]),
        (SH, PYTHON, python),
        *((PYTHON, TRUE, ["/bin/true", "from python", str(number)]) for number in range(4)),
        ("", program[0], program),
        *((program[0], TRUE, ["/bin/true", "from c", str(number)]) for number in range(7)),
    ]
    (first, *_) = played.events
    assert (first["event"]["action"], first["process"]["args"]) == ("exec", script)
    root = first["process"]["pid"]
    found = counted(
        (
            "" if each["process"]["pid"] == root else each["process"]["parent"]["executable"],
            each["process"]["executable"],
            tuple(each["process"]["args"]),
        )
        for each in played.events.of("exec", "success")
    )
    assert found == counted((above, path, tuple(args)) for above, path, args in expected)


def test_every_process_ends_as_it_should(played: Played) -> None:
    exits = played.events.of("exit")
    assert {each["process"]["exit_code"] for each in exits} == {0}
    pids = counted(each["process"]["pid"] for each in exits)
    forked = counted(each["process"]["pid"] for each in played.events.of("fork"))
    assert pids == forked + counted([played.events[0]["process"]["pid"]])


RENAMED_BY_SH = [("sh-0", "sh-zero"), ("sh-1", "sh one"), ("sh-2", "sh-two")]
RENAMED = [
    *RENAMED_BY_SH,
    *(("python-0", "python-zero"), ("python-1", "python-one")),
    *(("c-0", "c-zero"), ("c-1", "c-one")),
]


def test_files_by_their_full_paths(played: Played) -> None:
    def full(*names: str) -> list[str]:
        return [str(played.folder / name) for name in names]

    events = played.events
    written = full(
        *(f"{who}-{n}" for who, last in (("sh", 11), ("python", 10), ("c", 10)) for n in range(last))
    )
    assert counted(events.of("file_write", "success").paths) == counted(written)
    lengths = {"sh": lambda n: len(f"number {n}\n"), "python": lambda n: n * 1000, "c": lambda n: (n + 1) * 7}
    for each in events.of("file_close"):
        who, _dash, number = os.path.basename(each["file"]["path"]).partition("-")
        assert each["rubicon"]["file"]["bytes_written"] == lengths[who](int(number)), each
    renames = [
        (each["file"]["Ext"]["original"]["path"], each["file"]["path"]) for each in events.of("file_rename")
    ]
    assert counted(renames) == counted(tuple(full(*names)) for names in RENAMED)
    assert counted(events.of("file_unlink", "success").paths) == counted(full("sh-3", "python-2", "c-2"))
    assert {each["process"]["working_directory"] for each in events} == {str(played.folder)}


def test_connects_with_their_peers_and_results(played: Played) -> None:
    peers = played.peers

    def seen(each: Document) -> tuple[str, object, str, str]:
        destination = each["destination"]
        transport = each["network"]["transport"]
        where = destination["address"] if transport == "unix" else (destination["ip"], destination["port"])
        return transport, where, each["event"]["outcome"], each.get("error", {}).get("code", "")

    refused = ("failure", "ECONNREFUSED")
    expected = [
        *[("tcp", ("127.0.0.1", peers.open_port), "success", "")] * 8,
        *[("tcp", ("127.0.0.1", peers.closed_port), *refused)] * 3,
        ("udp", ("127.0.0.1", peers.open_port), "success", ""),
        *[("unix", peers.open_socket, "success", "")] * 3,
        *[("unix", peers.closed_socket, *refused)] * 2,
    ]
    assert counted(seen(each) for each in played.events.of("connect")) == counted(expected)


def test_the_same_again_from_the_recorded_trace(rubicon: Rubicon, tmp_path: Path) -> None:
    """What the session said as JSON lines, what it recorded, and what a replay finds are the same bytes."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"files:\n  write: [{rubicon.work}/allowed/**]\n")
    lines = tmp_path / "lines"
    command = [
        "sh",
        "-c",
        'mkdir allowed; echo >allowed/a; echo >b; echo >"$(printf "c\\033[2J\\377")"; rm b',
    ]
    options = ["--policy", policy, "--trace", rubicon.trace, "--jsonl", lines]
    assert rubicon.do("run", *options, "--", *command).returncode == 0
    said = lines.read_text().splitlines()
    recorded = rubicon.do(
        "export", rubicon.trace, "--format", "jsonl", "--only", "violations"
    ).stdout.splitlines()
    replayed = rubicon.do("replay", rubicon.trace, "--policy", policy, "--jsonl").stdout.splitlines()
    assert len(replayed) >= 3
    assert replayed == recorded[:-1] == said[:-1]
