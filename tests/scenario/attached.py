"""An attached Rubicon, and what it saw."""

from __future__ import annotations

import signal

from .driver import Document, Events, Rubicon, Started


def attach(rubicon: Rubicon, environment: dict[str, str], *argv: str) -> Started:
    """Once it watches. Of `environment` the places of sockets and programs are heeded."""
    started = rubicon.start(
        "attach", "--no-tui", "--trace", rubicon.trace, *argv, env=environment | rubicon.environment
    )
    started.says("interrupt to stop")
    return started


def end(rubicon: Rubicon, started: Started) -> Events:
    started.process.send_signal(signal.SIGINT)
    assert started.end() == 0, started.err
    return rubicon.events()


def programs(events: Events) -> list[tuple[str, ...]]:
    """The arguments of each program that the sandbox ran, in order."""
    ran = [each for each in events.of("exec", "success") if is_own_program(each)]
    return [tuple(each["process"]["args"]) for each in ran if each["event"]["kind"] == "event"]


def is_own_program(event: Document) -> bool:
    """Not the runtime, on its way to become the container's program."""
    return not event["rubicon"].get("setting_up")


def containers(events: Events) -> set[tuple[str, str, str]]:
    """Runtime, id and name."""
    found = [each["container"] for each in events if "container" in each]
    return {(each.get("runtime", ""), each["id"], each.get("name", "")) for each in found}
