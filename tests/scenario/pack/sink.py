"""The other ends: takes what it is sent, on port 7 sends it back, and knows names.

The address of host-201.example.org is 198.51.100.201, that of a name without a number 198.51.100.7.

Serves until its standard input ends. Tells by the pipe READY that it does.
"""

import os
import select
import socket
import struct
import sys

TAKING, ECHO, DNS = (22, 80, 443), 7, 53


def answered(question: bytes) -> bytes:
    end = question.index(0, 12) + 5
    number = "".join(filter(str.isdigit, question[13 : 13 + question[12]].decode()))
    record = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 198, 51, 100, int(number or 7) % 256)
    return question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:end] + record


def serve() -> None:
    servers = {socket.create_server(("", port), backlog=64): port for port in (*TAKING, ECHO)}
    resolver = socket.socket(type=socket.SOCK_DGRAM)
    resolver.bind(("198.51.100.7", DNS))
    open_now: dict[socket.socket, int] = {}
    with open(os.environ["READY"], "w") as ready:
        ready.write("ready\n")
    while True:
        readable, _, _ = select.select([sys.stdin, resolver, *servers, *open_now], [], [])
        for each in readable:
            if each is sys.stdin:
                return
            if each is resolver:
                question, who = resolver.recvfrom(2048)
                resolver.sendto(answered(question), who)
            elif each in servers:
                open_now[each.accept()[0]] = servers[each]
            else:
                take(each, open_now)


def take(connection: socket.socket, open_now: dict[socket.socket, int]) -> None:
    try:
        data = connection.recv(65536)
        if data and open_now[connection] == ECHO:
            connection.sendall(data)
    except OSError:
        data = b""
    if not data:
        del open_now[connection]
        connection.close()


serve()
