"""Secrets taken out of documents before they are written: in arguments, URLs, paths, names, messages.

A secret becomes `[redacted:0f3a9c1b]`: eight digits of a keyed hash, so that two places with the same secret
show the same digits and nobody can look the digits up. The key is made anew for each export and kept nowhere.

What is taken for one: the password in a URL; the value of an option, variable, header or query parameter that
is called like one (password, token, api key ...); keys of known form (AWS, GitHub, GitLab, Slack, OpenAI,
Anthropic, Google, Stripe, npm, PyPI, JWT, PEM); and a word of 24 characters or more that looks random.
Digests look random, too: redaction rather takes too much. The trace itself is never changed.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from tracer.export.documents import Document

_TELLING = (
    r"(?:[\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential"
    r"|authorization|auth[_-]?key|client[_-]?key|cookie)[\w.-]{0,40}|pass|pwd|auth|sig)"
)
_FIRST = r"(?!\[redacted)(?!(?:bearer|basic|token|digest)\s)"
_BETWEEN = "\x1f"  # arguments, while they are looked at as one text: a blank to the patterns
# In each, the group "secret" is replaced. Repetitions that may begin anywhere are bounded: text is hostile.
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?P<secret>[^\x1f]*?)(?:-----END|\Z|(?=\x1f))",
        r"[a-z][a-z0-9+.-]{0,20}://[^\s/@:]{0,256}:(?P<secret>[^\s/@]+)@",
        r"\b(?:bearer|basic)\s+(?P<secret>[\w.~+/-]{6,}=*)",
        rf"(?<![\w-])-{{0,2}}{_TELLING}[\"']?\s*[=:]\s*[\"']?(?P<secret>{_FIRST}[^\s\"'&;,]+)",
        rf"(?<!\S)--{_TELLING}\s+(?P<secret>{_FIRST}(?!-)\S+)",
        r"(?<!\S)(?:-u|--user|--proxy-user)[\s=]+[^\s:]+:(?P<secret>\S+)",
        r"\bsshpass\s+-p\s*(?P<secret>\S+)",
        r"\b(?:mysql|mariadb)[\w-]{0,20}(?:\s+\S+){0,12}?\s+-p(?P<secret>[^\s-]\S*)",
        r"\b(?P<secret>A[KS]IA[0-9A-Z]{16})\b",
        r"\b(?P<secret>gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|npm_\w{30,}|pypi-[\w-]{50,})",
        r"\b(?P<secret>xox[abeoprs]-[\w-]{10,}|sk-[\w-]{20,}|[rs]k_(?:live|test)_\w{16,}|AIza[\w-]{35})",
        r"\b(?P<secret>eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{0,1000})",
    )
)
_WORD = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_PLAIN_WORD = re.compile(r"[a-z]+|[A-Z]+|[0-9]+|[A-Z][a-z]+")
_BITS = (
    3.5  # of entropy a character; English words run together have about 3, random base 64 of 24 has over 4
)
# Names that programs are known by: to hide them would hide who acted.
_KEPT = frozenset(
    {"@timestamp", "event", "rule", "threat", "container", "orchestrator", "user", "network", "trace", "span"}
)
_KEPT_KEYS = frozenset({"entity_id", "session", "start", "evidence", "tier", "ip", "digest", "level"})


class Redactor:
    """Goes over the documents of one export; `key` makes the hashes, without it one of this export alone."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self.text = lru_cache(maxsize=16_384)(self._text)

    def of(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            yield {name: value if name in _KEPT else self._value(value) for name, value in document.items()}

    def _value(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case list():
                return [self._value(each) for each in value]
            case dict():
                found = {key: each if key in _KEPT_KEYS else self._value(each) for key, each in value.items()}
                if "args" in value:
                    found["args"] = self._arguments(tuple(value["args"]))
                    if "command_line" in value:
                        found["command_line"] = " ".join(found["args"])
                return found
        return value

    def _arguments(self, args: tuple[str, ...]) -> list[str]:
        """Looked at together, as an option and its value are two."""
        if any(_BETWEEN in argument for argument in args):
            return [self.text(argument) for argument in args]
        return self.text(_BETWEEN.join(args)).split(_BETWEEN) if args else []

    def _text(self, text: str) -> str:
        for pattern in _PATTERNS:
            text = pattern.sub(self._replace, text)
        return _WORD.sub(lambda found: self._mark(found[0]) if looks_random(found[0]) else found[0], text)

    def _replace(self, found: re.Match[str]) -> str:
        start, end = found.start("secret") - found.start(), found.end("secret") - found.start()
        return f"{found[0][:start]}{self._mark(found['secret'])}{found[0][end:]}"

    def _mark(self, secret: str) -> str:
        digest = hmac.new(self._key, secret.encode("utf-8", "surrogateescape"), hashlib.sha256)
        return f"[redacted:{digest.hexdigest()[:8]}]"


def looks_random(word: str) -> bool:
    """Whether a word has the entropy of a key rather than that of a path or of words run together."""
    if any(len(part) < 24 and _is_words(part) for part in word.split("/")) and "/" in word:
        return False
    counts = Counter(word)
    entropy = -sum(count / len(word) * math.log2(count / len(word)) for count in counts.values())
    return entropy >= _BITS and not _is_words(word)


def _is_words(text: str) -> bool:
    """Made of words and numbers with "-" and "_" between, each of them long: as names of files are."""
    parts = [part for part in re.split(r"[-_+=]", text) if part]
    pieces = [piece for part in parts for piece in _PLAIN_WORD.findall(part)]
    return not pieces or len(text) / len(pieces) >= 3.4
