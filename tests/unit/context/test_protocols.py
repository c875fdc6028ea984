"""What is spoken, by the first bytes: real ones of real programs, near misses, and hostile ones."""

from __future__ import annotations

import json
import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.context.protocols import classify
from tracer.events import Spoken


def client_hello(host: str | None, **options: object) -> bytes:
    """As OpenSSL makes it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for option, value in options.items():
        setattr(context, option, value)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=host).do_handshake()
    return outgoing.read()


def said(data: bytes) -> tuple[str, str]:
    found = classify(data)
    return found.protocol, found.server_name or found.domain or found.banner or found.method


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(version: ssl.TLSVersion) -> None:
    hello = client_hello("pool.example.org", maximum_version=version)
    assert said(hello) == ("tls", "pool.example.org")
    assert said(client_hello(None)) == ("tls", "")
    for size in range(len(hello)):
        found = classify(hello[:size])
        assert (found.protocol == "tls") == (size >= 6)
        assert found.server_name in ("", "pool.example.org")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", ("ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2")),
        (b"SSH-2.0-paramiko_3.4.0\r\n", ("ssh", "SSH-2.0-paramiko_3.4.0")),
        (b"SSH-2.0-", ("ssh", "SSH-2.0-")),
        (b"GET / HTTP/1.1\r\nAccept: */*\r\nHost: example.org:8080\r\n\r\n", ("http", "example.org")),
        (b"POST /x HTTP/1.0\r\n\r\n", ("http", "")),
        (b"GET / HTTP/1.1\r\nhost: [2001:db8::1]:80\r\n", ("http", "2001:db8::1")),
        (b"GET / HTTP/1.1\r\nhost: \x1b[2J\r\n", ("http", "")),
        (b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: proxy\r\n\r\n", ("http", "pypi.org")),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ("http", "")),
        (b'{"id": 1, "method": "mining.subscribe", "params": []}\n', ("stratum", "mining.subscribe")),
        (b'{"params":["x"],"method":"mining.authorize"}', ("stratum", "mining.authorize")),
        (b'{"id":1,"method":"\\u006dining.subscribe"}', ("stratum", "mining.subscribe")),
        (b'{"id":1,"method":"mining.subscribe","params":["cut', ("stratum", "mining.subscribe")),
        (b'{"method":"login","params":{"login":"4A","pass":"x","agent":"XMRig/6.21"}}', ("stratum", "login")),
        (b'{"id":1,"method":"eth_submitLogin","params":["0x"]}', ("stratum", "eth_submitLogin")),
        (b'{"jsonrpc":"2.0","method":"login","params":{"user":"x"}}', ("json-rpc", "login")),
        (b'{"jsonrpc":"2.0","method":"initialize","params":{}}', ("json-rpc", "initialize")),
        (b'{"no": "method"}', ("unknown", "")),
        (b"\x05\x01\x00", ("socks", "")),
        (b"\x05\x02\x00", ("unknown", "")),
        (b"\x04\x01\x01\xbb\xc0\x00\x02\x01root\x00", ("socks", "")),
        (b"EHLO me\r\n", ("smtp", "")),
        (b"\x13BitTorrent protocol\0\0", ("bittorrent", "")),
        (b"SSH is not spoken here", ("unknown", "")),
        (b"GET out\r\n", ("unknown", "")),
        (b"\x16\x03\x01\x00\x05\x02", ("unknown", "")),
        (b"", ("unknown", "")),
    ],
)
def test_streams(data: bytes, wanted: tuple[str, str]) -> None:
    assert said(data) == wanted


def test_datagrams() -> None:
    assert classify(b"\xc3\0\0\0\1" + bytes(1195), stream=False).protocol == "quic"
    assert classify(b"SSH-2.0-x", stream=False).protocol == "unknown"
    stun = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
    assert classify(stun, stream=False).protocol == "stun"


def test_deeply_nested_json() -> None:
    assert classify(b'{"a":' * 400 + b'"method":"mining.x"').protocol == "stratum"
    assert classify(b"{" + b'"a":[' * 2000).protocol == "unknown"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-", b"GET / HTTP/1.1\r\nHost:", b"{", b"\x05"]
    ),
    st.binary(max_size=300)
    | st.dictionaries(st.text(max_size=6), st.text()).map(lambda x: json.dumps(x).encode()),
)
def test_hostile_bytes(start: bytes, rest: bytes) -> None:
    found = classify(start + rest)
    assert isinstance(found, Spoken)
    assert found.protocol
    for text in (found.server_name, found.domain):
        assert len(text) <= 255
        assert text.isascii()
        assert "\n" not in text
