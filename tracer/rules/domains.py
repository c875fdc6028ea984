"""Names of DNS: which part of one somebody registered."""

from __future__ import annotations

from functools import lru_cache

# Under these names are registered; https://publicsuffix.org has all of them, this is enough to count by.
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})


@lru_cache(maxsize=4096)
def split_domain(name: str) -> tuple[str, str]:
    """The name that somebody registered, and what stands before it."""
    labels = name.split(".")
    kept = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-kept:]), ".".join(labels[:-kept])
