"""An agent's own account of its steps, told to the session that watches it.

    from tracer import step

    with step(tool="Bash", command=command):
        subprocess.run(command, shell=True)

Which session: the one named, else the socket in $RUBICON_STEPS (which `rubicon run` gives the command), else
the newest that is live. Nobody need be watched: where there is no session, `step` does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tracer.control import Reply, ask_at, steps_path
from tracer.errors import RubiconError
from tracer.trace import find_trace, stored_sessions

ENVIRONMENT = "RUBICON_STEPS"
NAME_MAX = 256  # characters of an id, a tool ...
COMMAND_MAX = 4096


def cut(facts: Mapping[str, str]) -> dict[str, str]:
    """What an agent says of a step, each word as long as it may be: rather cut than not told."""
    return {name: text[: COMMAND_MAX if name == "command" else NAME_MAX] for name, text in facts.items()}


def socket_of(session: str = "") -> Path:
    """Where steps are told. Raises RubiconError when no session is live, TraceError when it is none."""
    if session:
        return steps_path(find_trace(session))
    if path := os.environ.get(ENVIRONMENT):
        return Path(path)
    newest = next((stored for stored in stored_sessions() if stored.live), None)
    if newest is None:
        raise RubiconError(f"no session is live here, and {ENVIRONMENT} is not set: name one with --session")
    return steps_path(newest.path)


def begin(socket: Path, **facts: str | int) -> str:
    """Tell that a step begins; its id, which is the next number when none is given. Raises RubiconError."""
    return _told(ask_at(socket, "mark", op="begin", **facts))


def end(socket: Path, *, step: str = "", call_id: str = "") -> str:
    """Tell that the newest open step that fits has ended; its id. Raises RubiconError."""
    return _told(ask_at(socket, "mark", op="end", step=step, call_id=call_id))


def _told(reply: Reply) -> str:
    if not reply.ok:
        raise RubiconError(reply.message)
    return str(reply.data.get("step", ""))


@contextmanager
def step(
    step: str = "",
    *,
    tool: str = "",
    episode: str = "",
    call_id: str = "",
    command: str = "",
    pid: int = 0,
    session: str = "",
) -> Iterator[str]:
    """What is done within belongs to this step; gives its id, "" when nobody watches. Never raises by itself.

    step     its id; by default the next number in the session
    command  the text of the command it runs, which tells steps at the same time apart
    pid      only what this process and its children do; by default all that is watched
    """
    told = ""
    with suppress(RubiconError):
        socket = socket_of(session)
        facts = {"step": step, "tool": tool, "episode": episode, "call_id": call_id, "command": command}
        told = begin(socket, pid=pid, **cut(facts))
    try:
        yield told
    finally:
        if told:
            with suppress(RubiconError):
                end(socket, step=told, call_id=call_id[:NAME_MAX])
