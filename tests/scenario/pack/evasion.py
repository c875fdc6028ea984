"""Not to be seen."""

from tests.scenario.pack.case import Case

RUN_FD = """
def run_fd(fd, *argv):
    if not os.fork(): os.execve(fd, argv, {})
    os.wait()
"""
MEMORY = """
fd = os.memfd_create("x")
os.write(fd, open("/usr/bin/true", "rb").read())
"""

CASES = {
    "evasion/history_wiped": Case(
        [
            'write("/root/.bash_history", "")',
            'os.unlink("/root/.zsh_history")',
            'os.symlink("/dev/null", "/root/.python_history")',
        ],
        ['write("/root/.bash_history", "ls", "a"); write(".sh_history"); os.unlink(".sh_history")'],
    ),
    "evasion/logs_wiped": Case(
        ['write("/var/log/rubicon-test.log", "")', 'os.unlink("/var/log/rubicon-test2.log")'],
        ['write("/var/log/rubicon-test.log", "x", "a"); write("/var/log/mine"); os.unlink("/var/log/mine")'],
    ),
    "evasion/timestomp": Case(
        [
            'run("touch", "-r", "/bin/ls", write("/etc/x"))',
            'run("touch", "-d", "2020-01-01", "/usr/bin/true")',
        ],
        ['run("touch", "-r", "/bin/ls", "here"); run("touch", "/etc/y")'],
    ),
    "evasion/memfd_run": Case([RUN_FD + MEMORY + 'run_fd(fd, "x")'], [MEMORY]),
    "evasion/deleted_run": Case(
        [RUN_FD + 'fd = os.open(program("x"), os.O_RDONLY); os.unlink("x"); run_fd(fd, "x")'],
        [RUN_FD + 'fd = os.open(program("x"), os.O_RDONLY); run_fd(fd, "x"); os.unlink("x")'],
    ),
    "evasion/hidden_place_run": Case(
        ['called("/var/tmp/.x/tool")', 'called("/dev/shm/tool")', 'called("/var/tmp/.../tool")'],
        ['called("/var/tmp/.tmpAb12Cd/tool"); called("/var/tmp/x/tool"); called(".venv/bin/tool")'],
    ),
    "evasion/kernel_thread_name": Case(
        ['run("[kworker/0:1]", executable="/usr/bin/true")'],
        ['run("[", "a", "]", executable="/usr/bin/true"); run("kworker", executable="/usr/bin/true")'],
    ),
    "evasion/daemon_name_elsewhere": Case(
        ['called("sshd")', 'called("systemd-udevd")', 'called("kworker")'],
        ['called("sshd_config_test"); called("cronometer")'],
    ),
    "evasion/library_preloaded": Case(
        [
            'run("env", "LD_PRELOAD=/var/tmp/x.so", "true")',
            'run("sh", "-c", "LD_PRELOAD=./x.so true")',
            'run("/lib64/ld-linux-x86-64.so.2", program("/var/tmp/y/t"))',
        ],
        [
            (
                'run("env", "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "true")\n'
                'run("ldd", "/usr/bin/true")'
            )
        ],
    ),
    "evasion/defences_stopped": Case(
        ['called("iptables", "-F")', 'called("systemctl", "stop", "auditd")'],
        ['called("iptables", "-L"); called("systemctl", "status", "auditd")'],
    ),
}
