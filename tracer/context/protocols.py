"""What is spoken on a connection, from the first bytes that were sent: whoever sends them wrote them."""

from __future__ import annotations

import json
import re
from typing import Any

from tracer.context import dns
from tracer.events import UNKNOWN_PROTOCOL, Spoken

_HTTP = re.compile(
    rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI|PROPFIND|REPORT|MKCOL) "
    rb"([^ \r\n]{1,1024}) HTTP/[0-9](?:\.[0-9])?\r?\n"
)
_HOST = re.compile(rb"\r?\nhost:[ \t]*([^\r\n]{1,255})", re.IGNORECASE)
_SSH = re.compile(rb"SSH-[0-9.]{1,8}-[^\r\n]{0,240}")
_METHOD = re.compile(rb'"method"\s*:\s*"([A-Za-z_.0-9]{1,64})"')
# What miners ask a pool for: Stratum of Bitcoin, of Ethereum, and of Monero.
_MINING = re.compile(
    r"mining\.[a-z_.]+|eth_submit[A-Za-z]+|eth_getWork|getjobtemplate|keepalived|eth_login|getwork"
)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?\.?")
_SNI, _HOST_NAME_TYPE = 0, 0


def classify(data: bytes, *, stream: bool = True) -> Spoken:
    """`data` are the first bytes of a connection, possibly cut. What says nothing is UNKNOWN_PROTOCOL."""
    for of_protocol in _STREAMS if stream else _DATAGRAMS:
        spoken = of_protocol(data)
        if spoken is not None:
            return spoken
    return Spoken(UNKNOWN_PROTOCOL)


def _tls(data: bytes) -> Spoken | None:
    """A handshake record of TLS with a ClientHello in it (RFC 8446, 4.1.2 and 5.1)."""
    if len(data) < 6 or data[0] != 22 or data[1] != 3 or data[2] > 4 or data[5] != 1:
        return None
    return Spoken("tls", server_name=_server_name(data))


def _server_name(data: bytes) -> str:
    """The host a ClientHello asks for (RFC 6066, 3), or "" when it is not there, or beyond the cut."""
    at = 5 + 4 + 2 + 32  # record and handshake headers, version, random
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        at += width + int.from_bytes(data[at : at + width], "big")
    at += 2
    while at + 4 <= len(data):
        kind, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == _SNI:
            return _first_host(data[at + 4 : at + 4 + length])
        at += 4 + length
    return ""


def _first_host(names: bytes) -> str:
    if len(names) < 5 or names[2] != _HOST_NAME_TYPE:
        return ""
    length = int.from_bytes(names[3:5], "big")
    return _host_name(names[5 : 5 + length]) if len(names) >= 5 + length else ""


def _host_name(raw: bytes) -> str:
    """A name of a host without port, "" when it is none."""
    text = raw.decode("ascii", "replace").strip()
    if text.startswith("["):
        return text[1:].partition("]")[0] if re.fullmatch(r"\[[0-9a-fA-F:.]+\](:[0-9]+)?", text) else ""
    name = text.partition(":")[0]
    return name if _HOST_NAME.fullmatch(name) else ""


def _ssh(data: bytes) -> Spoken | None:
    """RFC 4253, 4.2: both sides begin with their version."""
    found = _SSH.match(data)
    return Spoken("ssh", banner=found[0].decode("ascii", "replace")) if found else None


def _http(data: bytes) -> Spoken | None:
    found = _HTTP.match(data)
    if not found:
        return None
    host = _HOST.search(data)
    if data.startswith(b"CONNECT "):
        return Spoken("http", domain=_host_name(found[1]))
    return Spoken("http", domain=_host_name(host[1]) if host else "")


def _json(data: bytes) -> Spoken | None:
    """A request of JSON-RPC, and when it is a miner's, Stratum."""
    if data.lstrip(b" \t\r\n")[:1] != b"{":
        return None
    request = _object(data)
    if request is None:
        found = _METHOD.search(data)
        method = found[1].decode() if found else ""
        mines = bool(_MINING.fullmatch(method)) or (method == "login" and b'"pass"' in data)
    else:
        method = str(request.get("method") or "")
        mines = bool(_MINING.fullmatch(method)) or (method == "login" and _is_miner_login(request))
    if mines:
        return Spoken("stratum", method=method)
    return Spoken("json-rpc", method=method[:64]) if method else None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value, _end = json.JSONDecoder().raw_decode(data.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_miner_login(request: dict[str, Any]) -> bool:
    params = request.get("params")
    return isinstance(params, dict) and "login" in params and ("pass" in params or "agent" in params)


def _socks(data: bytes) -> Spoken | None:
    """RFC 1928, 3: version, how many methods, and these; or a request of SOCKS 4, which a NUL ends."""
    if len(data) >= 3 and data[0] == 5 and len(data) == 2 + data[1]:
        return Spoken("socks")
    if len(data) >= 9 and data[0] == 4 and data[1] in (1, 2) and data[-1] == 0:
        return Spoken("socks")
    return None


def _smtp(data: bytes) -> Spoken | None:
    return Spoken("smtp") if re.match(rb"(?:EHLO|HELO|LHLO) [^\r\n]{1,255}\r?\n", data) else None


def _bittorrent(data: bytes) -> Spoken | None:
    return Spoken("bittorrent") if data.startswith(b"\x13BitTorrent protocol") else None


def _dns_stream(data: bytes) -> Spoken | None:
    message = dns.parse_stream(data, len(data))
    return Spoken("dns", domain=message.name if message.name != "." else "") if message else None


def _dns_datagram(data: bytes) -> Spoken | None:
    message = dns.parse_datagram(data)
    return Spoken("dns", domain=message.name if message.name != "." else "") if message else None


def _quic(data: bytes) -> Spoken | None:
    """A long header of version 1 or 2 (RFC 9000, 17.2; RFC 9369)."""
    if len(data) >= 1200 and data[0] & 0xC0 == 0xC0 and data[1:5] in (b"\0\0\0\1", b"\x6b\x33\x43\xcf"):
        return Spoken("quic")
    return None


def _stun(data: bytes) -> Spoken | None:
    """RFC 8489, 5: a magic cookie, and a length that is right."""
    if len(data) >= 20 and data[4:8] == b"\x21\x12\xa4\x42" and data[0] < 4:
        return Spoken("stun")
    return None


_STREAMS = (_tls, _ssh, _http, _json, _socks, _smtp, _bittorrent, _dns_stream)
_DATAGRAMS = (_quic, _stun, _dns_datagram)
