"""Heads of the trace's chain handed to a command, which keeps them where this machine cannot change them.

A time stamping authority (RFC 3161), a log server, a git repository: whoever rewrites the trace later, and
has the key to seal it again, cannot rewrite what was told there.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

TIMEOUT_SECONDS = 60.0  # for one run of the command
QUEUE_MAX = 16  # heads that wait; the newest covers those before it, so that a slow command loses nothing
OUTPUT_MAX_BYTES = 4096  # of what it says, kept in the trace


class Anchor:
    """The thread that runs the command, once for each seal.

    The command is run by /bin/sh and finds the seal as one line of JSON on its stdin, with "session" added;
    the session, the block's number and its hash are also in $RUBICON_SESSION, $RUBICON_BLOCK, $RUBICON_HEAD.
    What comes of it goes to `on_result` as a context record, and what went wrong to `on_notice` as well.
    """

    def __init__(
        self,
        command: str,
        session_id: str,
        *,
        on_result: Callable[[Mapping[str, Any]], object],
        on_notice: Callable[[str], object],
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._command = command
        self._session_id = session_id
        self._on_result = on_result
        self._on_notice = on_notice
        self._timeout_seconds = timeout_seconds
        self._seals: queue.Queue[Mapping[str, Any] | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, seal: Mapping[str, Any]) -> None:
        """Never waits. When the command is too slow the oldest head is left out: the newer cover it."""
        while True:
            try:
                self._seals.put_nowait(seal)
                return
            except queue.Full:
                self._leave_one_out()

    def stop(self) -> None:
        """Hand over what waits, and end."""
        self._seals.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _leave_one_out(self) -> None:
        try:
            self._seals.get_nowait()
        except queue.Empty:
            return

    def _run(self) -> None:
        while (seal := self._seals.get()) is not None:
            result = self._anchor(seal)
            self._on_result(result)
            if result["status"] != 0:
                self._on_notice(f"the head of block {seal['block']} was not anchored: {_reason(result)}")

    def _anchor(self, seal: Mapping[str, Any]) -> dict[str, Any]:
        """Run the command. `status` as a shell has it; 124 when it took too long, as of timeout(1)."""
        document = json.dumps({"session": self._session_id, **seal}) + "\n"
        environment = os.environ | {
            "RUBICON_SESSION": self._session_id,
            "RUBICON_BLOCK": str(seal["block"]),
            "RUBICON_HEAD": seal["head"],
        }
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", self._command],
                input=document.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=self._timeout_seconds,
                start_new_session=True,  # the terminal's interrupt is not for it
                check=False,
            )
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as expired:
            status, output = 124, expired.stdout or b""
        except OSError as error:
            status, output = 127, str(error.strerror).encode()
        text = output[:OUTPUT_MAX_BYTES].decode("utf-8", "backslashreplace")
        return {
            "type": "anchor",
            "block": seal["block"],
            "head": seal["head"],
            "status": status if status >= 0 else 128 - status,
            "output": text,
        }


def _reason(result: Mapping[str, Any]) -> str:
    said = result["output"].strip().splitlines()[-1:]
    return f"the command ended with status {result['status']}" + (f": {said[0]}" if said else "")
