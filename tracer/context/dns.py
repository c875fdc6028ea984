"""One DNS message (RFC 1035), as a program or anybody on the network wrote it: nothing in it is believed.

A message may be cut at its end: then the answers are those that are there. What breaks the format otherwise
is no message at all.
"""

from __future__ import annotations

import socket

from tracer.events import Answer, Dns

_HEADER_BYTES = 12
_ANSWERS_MAX = 64
_DATA_MAX = 256  # characters shown of one answer
_NAME_MAX = 255  # RFC 1035, 2.3.4
_POINTERS_MAX = 32
_LABEL_TEXT = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*/+")

# https://www.iana.org/assignments/dns-parameters
_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
    35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 64: "SVCB",
    65: "HTTPS", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
_NAMED = frozenset({2, 5, 12, 39})  # types whose data is one name
_CLASSES = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
_RESPONSES = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH", "NOTZONE",
)  # fmt: skip
_OPCODES_MAX = 6


class _Broken(Exception):  # noqa: N818  it never leaves this file
    """The bytes are no DNS message."""


def parse_datagram(data: bytes) -> Dns | None:
    """The message, or None when it is not one."""
    try:
        return _message(data)
    except _Broken:
        return None


def parse_stream(data: bytes, length_bytes: int) -> Dns | None:
    """What one call sent or received over TCP, `length_bytes` in all: a message with its length before it, or
    without, when that went in a call of its own (RFC 1035, 4.2.2)."""
    if len(data) > 2 and int.from_bytes(data[:2], "big") == length_bytes - 2:
        return parse_datagram(data[2:])
    return parse_datagram(data)


def _message(data: bytes) -> Dns:
    if len(data) < _HEADER_BYTES:
        raise _Broken
    number, flags, questions, answers = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4, 6))
    opcode, reserved = flags >> 11 & 0xF, flags & 0x40
    if questions != 1 or reserved or opcode > _OPCODES_MAX:
        raise _Broken
    name, at = _name(data, _HEADER_BYTES)
    if at + 4 > len(data):
        raise _Broken
    kind, of_class = _number(data, at), _number(data, at + 2)
    is_answer = flags & 0x8000 != 0
    if not is_answer and (answers or flags & 0xF):
        raise _Broken
    return Dns(
        id=number,
        is_answer=is_answer,
        name=name,
        type=_type(kind),
        question_class=_CLASSES.get(of_class, f"CLASS{of_class}"),
        answers=tuple(_answers(data, at + 4, answers)) if is_answer else (),
        response_code=_response(flags & 0xF) if is_answer else "",
    )


def _answers(data: bytes, at: int, count: int) -> list[Answer]:
    """As many as are there, whole."""
    found: list[Answer] = []
    for _ in range(min(count, _ANSWERS_MAX)):
        try:
            name, at = _name(data, at)
            if at + 10 > len(data):
                break
            kind, of_class, length = _number(data, at), _number(data, at + 2), _number(data, at + 8)
            begin, end = at + 10, at + 10 + length
            if end > len(data):
                break
            ttl = int.from_bytes(data[at + 4 : at + 8], "big")
            text = _data_text(data, kind, begin, end)
        except _Broken:
            break
        found.append(Answer(name, _type(kind), _CLASSES.get(of_class, f"CLASS{of_class}"), ttl, text))
        at = end
    return found


def _data_text(data: bytes, kind: int, begin: int, end: int) -> str:
    """An address, a name, the texts of a TXT record; of other types hexadecimal digits."""
    raw = data[begin:end]
    if kind == 1 and len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw)
    if kind == 28 and len(raw) == 16:
        return socket.inet_ntop(socket.AF_INET6, raw)
    if kind in _NAMED:
        return _name(data, begin)[0]
    if kind == 16:
        return _texts(raw)[:_DATA_MAX]
    return raw.hex()[:_DATA_MAX]


def _texts(raw: bytes) -> str:
    found, at = [], 0
    while at < len(raw):
        found.append(_escaped(raw[at + 1 : at + 1 + raw[at]], spaces=True))
        at += 1 + raw[at]
    return " ".join(found)


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name that begins at `at`, without its last dot, and where what follows it begins.

    A pointer leads to a place before it, so that no chain of them has an end of its own choosing.
    """
    labels: list[str] = []
    size, after, lowest = 0, 0, at
    for _ in range(_NAME_MAX + _POINTERS_MAX):
        if at >= len(data):
            raise _Broken
        length = data[at]
        if length >= 0xC0:
            if at + 2 > len(data):
                raise _Broken
            after = after or at + 2
            at = _number(data, at) & 0x3FFF
            if at >= lowest:
                raise _Broken
            lowest = at
        elif length > 63:
            raise _Broken
        elif length == 0:
            return ".".join(labels) or ".", after or at + 1
        else:
            label = data[at + 1 : at + 1 + length]
            size += length + 1
            if len(label) != length or size > _NAME_MAX:
                raise _Broken
            labels.append(_escaped(label))
            at += length + 1
    raise _Broken


def _escaped(raw: bytes, *, spaces: bool = False) -> str:
    """As in a master file (RFC 1035, 5.1): what is no letter or digit is `\\` and its number."""
    if spaces:
        return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\{byte:03}" for byte in raw)
    return "".join(chr(byte) if byte in _LABEL_TEXT else f"\\{byte:03}" for byte in raw)


def _number(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _type(number: int) -> str:
    return _TYPES.get(number, f"TYPE{number}")


def _response(code: int) -> str:
    return _RESPONSES[code] if code < len(_RESPONSES) else f"RCODE{code}"


def resolved(message: Dns) -> tuple[str, ...]:
    """The addresses an answer gives the name that was asked for, also by way of other names (CNAME)."""
    if not message.is_answer or message.response_code != "NOERROR":
        return ()
    names, addresses = {message.name.lower()}, []
    for answer in message.answers:
        if answer.name.lower() not in names:
            continue
        if answer.type == "CNAME":
            names.add(answer.data.lower())
        elif answer.type in ("A", "AAAA"):
            addresses.append(answer.data)
    return tuple(addresses)
