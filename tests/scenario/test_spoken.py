"""A miner and an SSH tunnel on port 443 are known by what they say, not by their names.

All of it in a network namespace of the command's own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .driver import PYTHON, Rubicon

ALONE = """
import ctypes, fcntl, socket, struct, sys
assert ctypes.CDLL(None).unshare(0x40000000) == 0
control = socket.socket(type=socket.SOCK_DGRAM)
fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 1))
control.close()
def say(port, data):
    with socket.create_server(("127.0.0.1", port)) as server:
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(data)
"""
SPOKEN = """
say(443, b'{"id":1,"method":"mining.subscribe","params":[]}\\n')
say(443, b"\\x16\\x03\\x01\\x00\\x2f\\x01" + bytes(42))
say(8545, b'{"jsonrpc":"2.0","method":"initialize","id":1}')
say(80, b"GET / HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")
say(443, b"SSH-2.0-paramiko_3.4.0\\r\\n")
"""
TRUE_NAMES = ["Mining protocol spoken", "SSH spoken where it is not expected"]


def alerts(rubicon: Rubicon) -> list[str]:
    documents = rubicon.export()
    found = [each["rule"] for each in documents if each["event"]["kind"] == "alert"]
    return [rule["name"] for rule in found if rule["level"] == "high"]


def test_on_port_443(rubicon: Rubicon) -> None:
    done = rubicon.run(PYTHON, "-c", ALONE + SPOKEN)
    assert done.returncode == 0, done.stderr
    assert alerts(rubicon) == TRUE_NAMES
    said = [each for each in rubicon.events().of("send") if "protocol" in each["network"]]
    assert [each["network"]["protocol"] for each in said] == ["stratum", "tls", "json-rpc", "http", "ssh"]
    assert said[-2]["url"] == {"domain": "example.org"}
    flows = rubicon.events().of("flow")
    assert [each["source"]["bytes"] for each in flows][-1] == len("SSH-2.0-paramiko_3.4.0\r\n")


def test_by_a_program_with_another_name(rubicon: Rubicon) -> None:
    renamed = Path(shutil.copy(PYTHON, rubicon.folder / "ssh"))
    code = ALONE + 'say(22, b"SSH-2.0-OpenSSH_9.2p1\\r\\n")'
    done = rubicon.run(renamed, "-S", "-c", code, env=rubicon.environment | {"PYTHONHOME": "/usr"})
    assert done.returncode == 0, done.stderr
    assert TRUE_NAMES[1] in alerts(rubicon)
