"""Through the walls of the sandbox."""

from tests.scenario.pack.case import Case

BPF = """
import ctypes
def load(uid):
    os.setuid(uid)
    attr = struct.pack("IIQQ", 1, 1, 0, 0) + bytes(104)
    ctypes.CDLL(None).syscall(321, COMMAND, attr, len(attr))
"""
CALL = "import ctypes\ncall = ctypes.CDLL(None, use_errno=True).syscall\n"
BIND = 'os.mkdir("a"); os.mkdir("b"); run("mount", "--bind", "a", "b")'
UNIX = 'os.chdir("/var/tmp"); s, c = [socket.socket(socket.AF_UNIX) for _ in range(2)]\n'
UNIX += "s.bind(NAME); s.listen(); c.connect(NAME)"
CGROUP = """
def groups():
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2": return fields[4]
"""
STRANGER = 'stranger = int(open("/var/tmp/stranger").read())\n'

CASES = {
    "escape/bpf_program_loaded": Case(
        [BPF.replace("COMMAND", "5") + "fork(load, 65534)"],
        [BPF.replace("COMMAND", "0") + "fork(load, 65534)"],
    ),
    "escape/mount_escape": Case(
        [BIND], ['run("unshare", "-Urm", "sh", "-c", "mkdir a b; mount --bind a b")']
    ),
    "escape/namespace_escape": Case(
        [CALL + STRANGER + 'call(308, os.open(f"/proc/{stranger}/ns/uts", os.O_RDONLY), 0)'],
        ['run("unshare", "--uts", "true")'],
    ),
    "escape/runtime_socket": Case(
        [UNIX.replace("NAME", '"docker.sock"'), UNIX.replace("NAME", '"containerd.sock"')],
        [UNIX.replace("NAME", '"database.sock"')],
    ),
    "escape/kernel_helper": Case(
        ['os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))'],
        ['os.close(os.open("/proc/sys/kernel/core_pattern", os.O_RDONLY)); write("core_pattern")'],
    ),
    "escape/kernel_settings": Case(
        ['os.close(os.open("/proc/sys/vm/swappiness", os.O_WRONLY))'],
        ['read("/proc/sys/vm/swappiness"); write("sys/vm/swappiness")'],
    ),
    "escape/foreign_process_signalled": Case(
        [STRANGER + "os.kill(stranger, 18)"],
        [STRANGER + "os.kill(stranger, 0); os.kill(os.getppid(), 18)"],
    ),
    "escape/foreign_process_changed": Case(
        [STRANGER + 'open(f"/proc/{stranger}/mem", "r+b").close()'],
        ['open("/proc/self/mem", "r+b").close()'],
    ),
    "escape/cgroup_left": Case(
        [CGROUP + 'fork(lambda: write(groups() + "/cgroup.procs", "0"))'],
        [CGROUP + 'read(groups() + "/cgroup.procs")'],
    ),
    "escape/disk_read": Case(['read("/dev/vda")'], ['read("dev/vda"); read("/dev/zero")']),
    "escape/disk_written": Case(
        ['os.close(os.open("/dev/vda", os.O_WRONLY))'],
        ['os.close(os.open("/dev/vda", os.O_RDONLY)); write("dev/vda")'],
    ),
    "escape/capability_gained": Case(
        ["capset(0); capset(1 << 21)"],
        ["capset(0); capset(1 << 13); capset(0)"],
        prelude="""
import ctypes
libc = ctypes.CDLL(None)
def capset(effective):
    held = 1 << 21 | 1 << 13
    parts = [(effective >> 32 * i & 0xFFFFFFFF, held >> 32 * i & 0xFFFFFFFF, 0) for i in (0, 1)]
    data = struct.pack("6I", *parts[0], *parts[1])
    assert libc.capset(struct.pack("II", 0x20080522, 0), data) == 0
""",
    ),
}
