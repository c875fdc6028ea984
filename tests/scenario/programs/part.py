"""The Python part of the mixed script: 10 files, 2 renames, 1 unlink, 9 connects (3 are refused), 4 children.

Usage: part.py OPEN_PORT CLOSED_PORT OPEN_SOCKET CLOSED_SOCKET; it works in the current directory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

open_port, closed_port = int(sys.argv[1]), int(sys.argv[2])
open_socket, closed_socket = sys.argv[3:]


def refused(kind: socket.AddressFamily, address: tuple[str, int] | str) -> None:
    with socket.socket(kind) as client:
        try:
            client.connect(address)
        except ConnectionRefusedError:
            return
        raise SystemExit(f"{address} let us in")


for number in range(10):
    with open(f"python-{number}", "wb") as file:
        file.write(b"x" * number * 1000)
os.rename("python-0", "python-zero")
os.replace("python-1", "python-one")
os.unlink("python-2")

for _ in range(4):
    with socket.create_connection(("127.0.0.1", open_port)):
        pass
with socket.socket(socket.AF_UNIX) as client:
    client.connect(open_socket)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect(("127.0.0.1", open_port))
refused(socket.AF_INET, ("127.0.0.1", closed_port))
refused(socket.AF_INET, ("127.0.0.1", closed_port))
refused(socket.AF_UNIX, closed_socket)

for number in range(4):
    subprocess.run(["/bin/true", "from python", str(number)], check=True)
