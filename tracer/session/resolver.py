"""Where the domains of a policy are: asked at the start and now and then, and recorded."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

REFRESH_SECONDS = 60.0
FIRST_SECONDS = 2.0
AT_ONCE = 16  # questions

Resolve = Callable[[str], Iterable[str]]


def system_addresses(domain: str) -> list[str]:
    """As the system's own resolver has them; none when it has none."""
    try:
        found = socket.getaddrinfo(domain, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


class Resolver:
    """A thread that hands a `name` context record to `add` whenever the addresses of a domain change."""

    def __init__(
        self,
        domains: Iterable[str],
        add: Callable[[Mapping[str, Any]], object],
        resolve: Resolve = system_addresses,
    ) -> None:
        self._domains = sorted(domains)
        self._add = add
        self._resolve = resolve
        self._known: dict[str, frozenset[str]] = {}
        self._stop = threading.Event()
        self._again = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resolver", daemon=True)

    def start(self) -> bool:
        """Return when the first answers are there, as the command may connect at once; false: not in time."""
        self._thread.start()
        return self._answered.wait(FIRST_SECONDS)

    def stop(self) -> None:
        """Does not wait for an answer that is on its way."""
        self._stop.set()
        self._again.set()

    def look_for(self, domains: Iterable[str]) -> None:
        """These, and no others, from now on."""
        self._domains = sorted(domains)
        if self._thread.ident is not None:
            self._again.set()
        elif self._domains:
            self._thread.start()

    def refresh(self) -> None:
        """Several at once, for one that nobody answers takes seconds."""
        waiting = deque(self._domains)
        workers = [
            threading.Thread(target=self._ask_in_turn, args=(waiting,), name="resolver", daemon=True)
            for _ in range(min(AT_ONCE, len(waiting)))
        ]
        for each in workers:
            each.start()
        for each in workers:
            each.join()

    def _ask_in_turn(self, waiting: deque[str]) -> None:
        with suppress(IndexError):
            while not self._stop.is_set():
                self._learn(waiting.popleft())

    def _learn(self, domain: str) -> None:
        known = self._known.get(domain, frozenset())
        addresses = self._ask(domain)
        if addresses - known:
            self._known[domain] = known | addresses
            self._add({"type": "name", "domain": domain, "addresses": sorted(addresses)})

    def _ask(self, domain: str) -> frozenset[str]:
        """None when the answer is an error, of whatever kind: the next round asks again."""
        try:
            return frozenset(self._resolve(domain))
        except Exception:  # noqa: BLE001  a name that cannot be looked up must not end the others
            return frozenset()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._answered.set()
            self._again.wait(REFRESH_SECONDS)
            self._again.clear()
