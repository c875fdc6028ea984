"""A resolver of the tests' own, and the words of a program that asks it; both by hand, byte by byte."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

RESOLVER, LIAR, OWN = "127.53.0.1", "127.53.0.2", "127.53.0.3"

ASK = r"""
import json, socket, struct

def name(text):
    return b"".join(bytes([len(each)]) + each.encode() for each in text.split("|")) + b"\0"

def question(number, text, kind=1):
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + name(text) + struct.pack("!2H", kind, 1)

def tried(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        try: one.connect((address, port))
        except OSError as error: return errno.errorcode[error.errno]
        return "ok"

def ask(text, number=7, kind=1, resolver="127.53.0.1", source="", connected=True):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if source: one.bind((source, 0))
    one.settimeout(10)
    if connected:
        one.connect((resolver, 53))
        one.send(question(number, text, kind))
    else:
        one.sendto(question(number, text, kind), (resolver, 53))
    return one.recv(2048)
"""


def answer(asked: bytes, *addresses: str, number: int | None = None, name: bytes = b"") -> bytes:
    """To a question, by way of another name."""
    end = asked.index(b"\0", 12) + 5
    question = asked[12:end]
    if name:
        question = name + question[-4:]
    alias = b"\5alias\7example\3net\0"
    records = b"\xc0\x0c" + struct.pack("!2HIH", 5, 1, 60, len(alias)) + alias
    for each in addresses:
        family = socket.AF_INET6 if ":" in each else socket.AF_INET
        data = socket.inet_pton(family, each)
        kind = 28 if ":" in each else 1
        records += alias + struct.pack("!2HIH", kind, 1, 60, len(data)) + data
    head = struct.pack("!H", number) if number is not None else asked[:2]
    return head + struct.pack("!5H", 0x8180, 1, 1 + len(addresses), 0, 0) + question + records


class Resolver:
    """Says of `aN.…` that it is at 127.9.0.N; of `nN.…`, `qN.…` and `lN.…` in a way that does not count."""

    def __init__(self) -> None:
        self._socket, self._liar = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._socket.bind((RESOLVER, 53))
        self._liar.bind((LIAR, 53))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            asked, peer = self._socket.recvfrom(2048)
            if not asked:
                return
            word = asked[13 : 13 + asked[12]].decode().partition(".")[0].lower()
            what, address = word[0], f"127.9.0.{word[1:]}"
            if what == "a":
                self._socket.sendto(answer(asked, address), peer)
            elif what == "s":
                self._socket.sendto(answer(asked, "::1"), peer)
            elif what == "n":
                self._socket.sendto(answer(asked, address, number=asked[0] << 8 | asked[1] ^ 1), peer)
            elif what == "q":
                self._socket.sendto(answer(asked, address, name=b"\2zz\7example\3org\0"), peer)
            elif what == "l":
                self._liar.sendto(answer(asked, address), peer)

    def close(self) -> None:
        with suppress(OSError):
            self._liar.sendto(b"", (RESOLVER, 53))
        self._thread.join(10)
        self._socket.close()
        self._liar.close()
