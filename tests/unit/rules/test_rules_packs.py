"""The detections that come with Rubicon: what each finds, what is near and not meant, and honest work."""

from __future__ import annotations

import errno
from uuid import UUID

import pytest
import yaml

from tests.unit.rules.made import broken, connected, connected_unix, file, process, ran, ran_line, spoke
from tracer.events import Action, Event, Level, Spoken, StdioKind
from tracer.rules import RuleSet, load_rules
from tracer.rules.load import PACKS

TUNNEL = "Reverse SSH tunnel"
RENAMED = "Reverse SSH tunnel by a program with another name"
MINER = "Cryptocurrency miner"
POOL = "Connection to a mining pool"
POOL_PORT = "Connection to a port of mining pools"
STARTUP = "Startup file of a shell or of the system changed"
KEYS = "SSH authorized keys changed"
PRELOAD = "Library preloaded into every program"
MEMORY = "Program run from memory alone"
SHELL = "Shell with a network connection as its input"


@pytest.fixture(scope="module")
def packs() -> RuleSet:
    return load_rules(None, [])


def test_every_rule_is_complete() -> None:
    for path in sorted(PACKS.rglob("*.yml")):
        rule, *parts = yaml.safe_load_all(path.read_text())
        UUID(rule["id"])
        assert rule["level"] in [level.value for level in Level]
        assert any(tag.startswith("attack.t1") for tag in rule["tags"])
        assert rule["falsepositives"]
        assert rule["description"]
        assert rule["rubicon"]["summary"]
        assert all(each["logsource"]["product"] == "linux" for each in (rule, *parts) if "logsource" in each)
        for part in parts:
            UUID(part["id"])
        assert ("correlation" in rule) == bool(parts)
        assert rule.get("correlation", {}).get("rules", []) == [part["name"] for part in parts]


def test_all_of_them_are_loaded(packs: RuleSet) -> None:
    assert len(packs.rules) == len(list(PACKS.rglob("*.yml")))
    assert packs.skipped == ()
    assert all(rule.techniques for rule in packs.rules)
    assert all(source["path"].startswith("pack:") for source in packs.sources)


@pytest.mark.parametrize(
    "line",
    [
        "ssh -R 2222:localhost:22 h",
        "ssh -N -R 2222:localhost:22 u@h",
        "ssh -NR 2222:localhost:22 h",
        "ssh -fNR 2222:localhost:22 h",
        "ssh -fNTR2222:localhost:22 h",
        "ssh -R *:8080:10.0.0.1:80 h",
        "ssh -R [::]:8080:[2001:db8::1]:80 h",
        "ssh -R 1080 h",
        "ssh -NR 0.0.0.0:1080 h",
        "ssh -R 80:/run/app.sock h",
        "ssh -R /tmp/out.sock:localhost:22 h",
        "ssh -p 2200 -i key -R 2222:localhost:22 h",
        "ssh h -R 2222:localhost:22",
        "ssh -o RemoteForward=2222:localhost:22 h",
        "ssh -oRemoteForward=2222:localhost:22 h",
        "ssh -No remoteforward=2222:localhost:22 h",
        "autossh -M 0 -f -N -R 2222:localhost:22 h",
        "dbclient -f -N -R 2222:localhost:22 h",
    ],
)
def test_reverse_tunnels(packs: RuleSet, line: str) -> None:
    (violation,) = packs.judge(ran_line(line))
    assert violation.rule.name == TUNNEL
    assert violation.rule.techniques == ("T1572",)
    name = line.split(maxsplit=1)[0]
    assert violation.summary == f"{name} (pid 4302) opened a reverse tunnel: {line}"


@pytest.mark.parametrize(
    "line",
    [
        "ssh h",
        "ssh -L 8080:localhost:80 h",
        "ssh -fNL 8080:localhost:80 h",
        "ssh h ls -R /srv",
        "ssh h ls -R",
        "ssh -p 22 h ls -lR 2024",
        "ssh h grep -R 8080:x src",
        "ssh -o RemoteCommand=none h",
        "ssh -i ~/R 10.0.0.1",
        "ssh -W host:22 jump",
        "scp -r R:1:2 h:",
        "rsync -R 8080 h:",
        "git push -R",
    ],
)
def test_near_a_reverse_tunnel(packs: RuleSet, line: str) -> None:
    assert packs.judge(ran_line(line)) == ()


def test_a_remote_command_can_have_the_very_words_of_a_tunnel(packs: RuleSet) -> None:
    assert broken(packs.judge(ran_line("ssh h head -R 2024"))) == [TUNNEL]  # told wrongly, and known


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("updater -N -R 2222:localhost:22 u@h", "/tmp/updater"),
        ("./x -fNR 2222:localhost:22 h", "/work/x"),
        ("x -R2222:127.0.0.1:22 h", "/work/x"),
        ("time -R 2222:localhost:22 h", "/tmp/time"),
        ("ssh -R 2222:localhost:22 h", "/memfd:ssh (deleted)"),
    ],
)
def test_renamed_clients(packs: RuleSet, line: str, path: str) -> None:
    violations = packs.judge(ran_line(line, path))
    assert broken(violations) == [*([MEMORY] if path.startswith("/memfd:") else []), RENAMED]
    violation = violations[-1]
    assert "looks like a renamed SSH client" in violation.summary


@pytest.mark.parametrize(
    "made",
    [
        ran("bash", "-c", "ssh -N -R 2222:localhost:22 h"),
        ran_line("timeout 5 ssh -R 2222:localhost:22 h"),
        ran_line("nohup ssh -R 2222:localhost:22 h"),
        ran_line("curl -R 8080:x"),
        ran_line("docker run -p 127.0.0.1:80:80 -e R=1 x"),
        ran_line("grep -R 1:2:3 src"),
        ran_line("gcc -Wl,-R/usr/lib:x:1 a.c"),
        ran_line("ls -R 10:20"),
        ran("echo", "use ssh -R 2222:localhost:22 host"),
    ],
)
def test_near_a_renamed_client(packs: RuleSet, made: Event) -> None:
    assert RENAMED not in broken(packs.judge(made))


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("xmrig", "/tmp/xmrig"),
        ("./XMRig --help", "/opt/XMRig"),
        ("minerd -a x", ""),
        ("cpuminer-opt -a x", ""),
        ("a -o stratum+tcp://pool.example:3333 -u w", "/tmp/a"),
        ("a --url=stratum+ssl://pool.example:443", "/tmp/a"),
        ("a -ostratum+tcp://pool.example:443", "/tmp/a"),
        ("a --donate-level=1 -o pool.example:443", "/tmp/a"),
        ("a --algo=rx/0", "/tmp/a"),
        ("grep -o stratum+tcp://pool.example:1", "/tmp/grep"),
    ],
)
def test_miners(packs: RuleSet, line: str, path: str) -> None:
    (violation,) = packs.judge(ran_line(line, path))
    assert violation.rule.name == MINER
    assert violation.summary.endswith(f"ran a cryptocurrency miner: {line}")


def test_a_miner_that_may_not_run_is_told(packs: RuleSet) -> None:
    (violation,) = packs.judge(ran("./xmrig", path="/tmp/xmrig", error=errno.EACCES))
    assert violation.summary.endswith(": ./xmrig; it was refused with EACCES")
    assert packs.judge(ran("xmrig", path="/usr/bin/xmrig", error=errno.ENOENT)) == ()


@pytest.mark.parametrize(
    "made",
    [
        ran_line("grep -r stratum+tcp:// src"),
        ran("git", "commit", "-m", "stratum+tcp://x is blocked"),
        ran("bash", "-c", "echo 'stratum+tcp://x' > notes"),
        ran("python3", "-c", "print('stratum+tcp://')"),
        ran_line("examiner --all"),
        ran_line("vim xmrig.md"),
        ran_line("ls --algo"),
    ],
)
def test_near_a_miner(packs: RuleSet, made: Event) -> None:
    assert packs.judge(made) == ()


@pytest.mark.parametrize("port", [3333, 14444, 45700])
def test_ports_of_pools(packs: RuleSet, port: int) -> None:
    (violation,) = packs.judge(connected("203.0.113.9", port))
    assert violation.rule.name == POOL_PORT
    assert violation.rule.level is Level.MEDIUM
    assert violation.summary == (
        f"python3.11 (pid 7) connected to a port that mining pools use: 203.0.113.9:{port}"
    )
    assert broken(packs.judge(connected("203.0.113.9", port, error=errno.ECONNREFUSED))) == [POOL_PORT]


@pytest.mark.parametrize(
    "made",
    [
        connected("127.0.0.1", 3333),
        connected("::1", 3333),
        connected("::ffff:127.0.0.1", 3333),
        connected("192.168.1.9", 3333),
        connected("fd00::1", 3333),
        connected("203.0.113.9", 443),
        connected("203.0.113.9", 4444),
        connected("203.0.113.9", 33333),
        connected("203.0.113.9", 3333, transport="udp"),
        connected("203.0.113.9", 443, "f2pool.com.example"),
        connected("203.0.113.9", 443, "notnanopool.org"),
        connected_unix("/run/3333"),
    ],
)
def test_near_a_pool(packs: RuleSet, made: Event) -> None:
    assert packs.judge(made) == ()


@pytest.mark.parametrize("name", ["xmr-eu1.nanopool.org", "GULF.moneroocean.stream", "xmrpool.eu"])
def test_names_of_pools(packs: RuleSet, name: str) -> None:
    assert broken(packs.judge(connected("203.0.113.9", 443, name))) == [POOL]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/root/.bashrc", STARTUP),
        ("/home/ada/.zshrc", STARTUP),
        ("/home/ada/.profile", STARTUP),
        ("/home/ada/.config/systemd/user/x.service", STARTUP),
        ("/home/ada/.config/autostart/x.desktop", STARTUP),
        ("/root/.config/fish/config.fish", STARTUP),
        ("/etc/profile", STARTUP),
        ("/etc/profile.d/x.sh", STARTUP),
        ("/etc/cron.d/x", STARTUP),
        ("/etc/crontab", STARTUP),
        ("/var/spool/cron/crontabs/root", STARTUP),
        ("/etc/systemd/system/x.service", STARTUP),
        ("/etc/init.d/x", STARTUP),
        ("/etc/rc.local", STARTUP),
        ("/root/.ssh/authorized_keys", KEYS),
        ("/srv/git/.ssh/authorized_keys", KEYS),
        ("/etc/ld.so.preload", PRELOAD),
    ],
)
def test_startup_files(packs: RuleSet, path: str, rule: str) -> None:
    assert broken(packs.judge(file(path, created=True))) == [rule]
    assert broken(packs.judge(file(path, Action.FILE_RENAME, original="/tmp/x"))) == [rule]
    assert broken(packs.judge(file(path, Action.FILE_LINK, original="/tmp/x"))) == [rule]
    assert broken(packs.judge(file(path, Action.FILE_SYMLINK, target="/tmp/x"))) == [rule]
    (violation,) = packs.judge(file(path, error=errno.EACCES))
    assert violation.summary.endswith(f": {path}; it was refused with EACCES")
    assert packs.judge(file(path, error=errno.ENOENT)) == ()
    assert packs.judge(file(path, Action.FILE_UNLINK)) == ()


@pytest.mark.parametrize(
    "path",
    [
        "/work/dotfiles/.bashrc",
        "/home/ada/src/app/.profile",
        "/home/ada/.bashrc.swp",
        "/home/ada/.bash_history",
        "/home/ada/.config/app/x",
        "/work/etc/crontab",
        "/work/.config/systemd/user/x.service",
        "/etc/hosts",
        "/usr/lib/systemd/system/x.service",
        "/work/authorized_keys",
        "/home/ada/.ssh/known_hosts",
        "/etc/ld.so.cache",
    ],
)
def test_near_a_startup_file(packs: RuleSet, path: str) -> None:
    assert packs.judge(file(path, created=True)) == ()


def test_the_package_manager_may_bring_startup_files(packs: RuleSet) -> None:
    dpkg = process("/usr/bin/dpkg", ("dpkg", "--unpack"))
    assert packs.judge(file("/etc/cron.daily/apt", Action.FILE_RENAME, who=dpkg, original="/x")) == ()
    fake = process("/tmp/dpkg", ("dpkg", "--unpack"))
    assert broken(packs.judge(file("/etc/cron.daily/apt", who=fake))) == [STARTUP]


@pytest.mark.parametrize("shell", ["bash", "sh", "dash", "zsh", "busybox"])
def test_shells_on_a_socket(packs: RuleSet, shell: str) -> None:
    (violation,) = packs.judge(ran(shell, "-i", stdin=StdioKind.SOCKET, stdin_peer="203.0.113.9:443"))
    assert violation.rule.name == SHELL
    assert violation.rule.level is Level.CRITICAL
    assert ("rubicon.exec.stdin_peer", "203.0.113.9:443") in [(m.field, m.value) for m in violation.matched]
    assert violation.summary == (
        f"{shell} (pid 4302) is a shell that takes its commands from the network: {shell} -i"
    )


@pytest.mark.parametrize(
    "made",
    [
        ran("bash", stdin=StdioKind.SOCKET),  # a socket pair, as node makes for its children
        ran("bash", stdin=StdioKind.PIPE),
        ran("git-bash", path="/usr/bin/git-shell", stdin=StdioKind.SOCKET, stdin_peer="203.0.113.9:443"),
    ],
)
def test_near_a_shell_on_a_socket(packs: RuleSet, made: Event) -> None:
    assert packs.judge(made) == ()


@pytest.mark.parametrize("port", [443, 22, 3333])
def test_stratum_on_any_port(packs: RuleSet, port: int) -> None:
    (violation,) = packs.judge(spoke(port, Spoken("stratum", method="mining.subscribe")))
    assert violation.rule.name == "Mining protocol spoken"
    assert violation.summary == f"python3.11 (pid 7) asked a mining pool for work: 198.51.100.7:{port}"


@pytest.mark.parametrize(
    ("port", "path"),
    [(443, "/usr/bin/ssh"), (443, "/usr/bin/python3.11"), (22, "/tmp/updater"), (22, "/tmp/ssh"), (80, "/x")],
)
def test_ssh_where_it_is_not_expected(packs: RuleSet, port: int, path: str) -> None:
    (violation,) = packs.judge(spoke(port, Spoken("ssh", banner="SSH-2.0-x"), process(path)))
    assert violation.rule.name == "SSH spoken where it is not expected"
    assert violation.rule.techniques == ("T1572", "T1571")


@pytest.mark.parametrize(
    "made",
    [
        spoke(22, Spoken("ssh"), process("/usr/bin/ssh")),
        spoke(443, Spoken("tls", server_name="ssh.example")),
        spoke(443, Spoken("json-rpc", method="login")),
        spoke(443, Spoken("")),
        spoke(8022, Spoken("ssh"), process("/usr/sbin/sshd"), direction="ingress"),
    ],
)
def test_near_what_is_spoken(packs: RuleSet, made: Event) -> None:
    assert packs.judge(made) == ()


def test_ssh_that_was_connected_before_the_watch(packs: RuleSet) -> None:
    who = process("/usr/bin/ssh")
    (violation,) = packs.judge(connected("198.51.100.7", 443, who=who, snapshot=True))
    assert violation.summary == (
        "ssh (pid 7) has an SSH connection to an unusual port: 198.51.100.7:443; "
        "it was already open when the watch began"
    )
    for near in (
        connected("198.51.100.7", 443, who=who),
        connected("198.51.100.7", 22, who=who, snapshot=True),
        connected("198.51.100.7", 443, snapshot=True),
    ):
        assert packs.judge(near) == ()


def test_a_shell_that_has_taken_its_commands_from_the_network(packs: RuleSet) -> None:
    shell = ran("sh", stdin=StdioKind.SOCKET, stdin_peer="198.51.100.7:4444", snapshot=True)
    assert broken(packs.judge(shell)) == [SHELL]


HONEST = """\
git clone https://github.com/a/b
git -c protocol.version=2 fetch origin +refs/heads/*:refs/remotes/origin/*
git rebase -i HEAD~3
ssh -o SendEnv=GIT_PROTOCOL git@github.com git-upload-pack 'a/b.git'
pip install -r requirements.txt
python3 -m venv .venv
python3 -c import sys; print(sys.version)
make -j8 CFLAGS=-O2 RANLIB=ranlib
gcc -O2 -Wall -I/usr/include/R -DR=1:2 -c a.c -o a.o
cc1 -quiet -imultiarch x86_64-linux-gnu a.c -o /tmp/ccR.s
collect2 -plugin /usr/lib/lto.so -dynamic-linker /lib64/ld.so -R /lib -o a.out
cargo build --release
npm ci --ignore-scripts
node --max-old-space-size=4096 build.js
tar -xzRf a.tgz
rsync -aR src/ host:/dst
cp -R a b
chown -R ada:ada /work
chmod -R 755 /work
grep -RIn 22:33:44 .
find . -name *.py -exec wc -l {} +
curl -fsSL -R https://example.org/x.tgz -o x.tgz
docker run --rm -p 8080:80 nginx
pytest -q -p no:randomly tests
Rscript -e 1:10
sed -i s/a/b/ x
"""


@pytest.mark.parametrize("line", HONEST.splitlines())
def test_honest_commands_are_silent(packs: RuleSet, line: str) -> None:
    assert packs.judge(ran_line(line)) == ()


@pytest.mark.parametrize(
    "path",
    [
        "/work/.git/index.lock",
        "/work/src/a.py",
        "/home/ada/.cache/pip/http/1",
        "/home/ada/.cargo/registry/x",
        "/root/.npm/_cacache/x",
        "/tmp/ccX.s",
        "/usr/lib/python3/dist-packages/x.py",
        "/dev/null",
    ],
)
def test_honest_writes_are_silent(packs: RuleSet, path: str) -> None:
    assert packs.judge(file(path, created=True)) == ()


@pytest.mark.parametrize("port", [22, 53, 80, 443, 3128, 5432, 6379, 8080, 9418])
def test_honest_connections_are_silent(packs: RuleSet, port: int) -> None:
    assert packs.judge(connected("140.82.121.4", port, "github.com")) == ()
