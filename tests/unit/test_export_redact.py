"""Secrets that are hidden, honest text that is not, and equal ones that stay equal."""

from __future__ import annotations

import json

import pytest

from tests.export_samples import SESSION, items
from tracer.export import Documents
from tracer.export.redact import Redactor, looks_random

SHOWN = r"[redacted:"


@pytest.mark.parametrize(
    ("args", "secret"),
    [
        (("curl", "-H", "Authorization: Bearer abcdef.123456"), "abcdef.123456"),
        (("curl", "-u", "ada:hunter2", "http://x/"), "hunter2"),
        (("git", "clone", "https://ada:hunter2@git.example/x.git"), "hunter2"),
        (("psql", "--password=hunter2"), "hunter2"),
        (("psql", "--password", "hunter2"), "hunter2"),
        (("sh", "-c", "export DB_PASSWORD='hunter2'; run"), "hunter2"),
        (("sshpass", "-p", "hunter2", "ssh", "h"), "hunter2"),
        (("mysql", "-u", "root", "-phunter2"), "hunter2"),
        (("curl", "https://x.example/?a=1&api_key=hunter2&b=2"), "hunter2"),
        (("aws", "configure", "set", "x", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "wJalrXUtnFEMI"),
        (("echo", "AKIAIOSFODNN7EXAMPLE"), "AKIAIOSFODNN7EXAMPLE"),
        (("echo", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"), "ghp_abc"),
        (("echo", "xoxb-123456789012-abcdefABCDEF"), "123456789012"),
        (("echo", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3"), "eyJzdWIi"),
        (("echo", "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n", "x"), "MIIabc"),
    ],
)
def test_secrets_are_hidden(args: tuple[str, ...], secret: str) -> None:
    redactor = Redactor(b"key")
    (document,) = redactor.of([{"process": {"args": list(args), "command_line": " ".join(args)}}])
    process = document["process"]
    assert secret not in json.dumps(process)
    assert SHOWN in process["command_line"]
    assert len(process["args"]) == len(args)
    assert process["command_line"] == " ".join(process["args"])


@pytest.mark.parametrize(
    "text",
    [
        "gcc -O2 -c foo.c -o foo.o",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
        "/root/.pyenv/versions/3.11.7/lib/python3.11/site-packages/pkg_resources/__init__.py",
        "node_modules/@babel/plugin-transform-template-literals/lib/index.js",
        "PostgreSQLConnectionPoolManagerFactory",
        "git commit -m 'Add token refresh: fixes login'",
        "/home/a/.ssh/authorized_keys",
        "pytest tests/test_token.py",
        "cp -p a b",
        "ls --author",
    ],
)
def test_honest_text_stays(text: str) -> None:
    assert Redactor(b"key").text(text) == text


def test_equal_secrets_stay_equal_and_keys_differ() -> None:
    first, other = Redactor(), Redactor()
    assert first.text("--password=a1") == first.text("--password=a1") != first.text("--password=a2")
    assert first.text("--password=a1") != other.text("--password=a1")


def test_every_document_keeps_its_shape() -> None:
    plain = list(Documents(items(), SESSION))
    redacted = list(Documents(items(), SESSION, change=Redactor(b"key").of))
    assert [document.keys() for document in plain] == [document.keys() for document in redacted]
    assert [document["event"] for document in plain] == [document["event"] for document in redacted]


@pytest.mark.parametrize(
    "piece", ["a.", "eyJ-", "mysql ", "x://", "token=", "-----BEGIN ", "aB3d", "\x1f", "é"]
)
def test_long_hostile_text_is_gone_over_once(piece: str) -> None:
    """A pattern that looked again from every place would not come to its end in a test's time."""
    assert Redactor(b"key").text(piece * (100_000 // len(piece)))


def test_random_words() -> None:
    assert looks_random("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")
    assert not looks_random("a" * 40)
    assert not looks_random("/usr/share/documentation/readme")
