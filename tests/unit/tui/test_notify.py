"""Word of a violation, as the settings want it; and the settings."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from tests.tui import scene
from tracer.config import Config, Notify, config_path, read_config
from tracer.errors import UsageError
from tracer.events import Level
from tui.notify import NEWS_NS, Notifier
from tui.vitals import Sampler

STORY = scene.rome()
HIGH = [each for each in STORY.violations if each.rule.level is Level.HIGH]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def notifier(settings: Notify, written: list[str], clock: Clock | None = None, late_ns: int = 0) -> Notifier:
    return Notifier(
        settings,
        written.append,
        clock=clock or Clock(),
        now_ns=lambda: HIGH[0].event.time_ns + late_ns,
    )


def test_silent_unless_asked() -> None:
    written: list[str] = []
    notifier(Notify(), written).heed(HIGH, scene.SESSION)
    assert not written


def test_bell_and_message() -> None:
    written: list[str] = []
    hostile = scene.Story()
    event = hostile.event(scene.process(1, None, "x"), STORY.events[0].action)
    violation = hostile.violate(scene.POOL, event, "a\x1b\\b")
    told = Notifier(Notify(bell=True, osc9=True), written.append, now_ns=lambda: event.time_ns)
    told.heed([violation], scene.SESSION)
    assert written == ["\a", "\x1b]9;rubicon: a\\x1b\\\\b\x1b\\"]


def test_one_of_a_level_in_a_time_and_history_is_no_news() -> None:
    written: list[str] = []
    clock = Clock()
    told = notifier(Notify(bell=True, every_seconds=10), written, clock)
    for now, rings in ((0, 1), (9, 1), (10, 2)):
        clock.now = now
        told.heed(HIGH[:2], scene.SESSION)
        assert len(written) == rings
    late = notifier(Notify(bell=True), written, late_ns=NEWS_NS)
    late.heed(HIGH[:1], scene.SESSION)
    assert len(written) == 2


def test_a_command_is_told_what_happened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = f'{{ echo "$RUBICON_LEVEL $RUBICON_COUNT $RUBICON_RULE"; cat; }} >{fifo}'
    told = notifier(Notify(command={Level.HIGH: command}), [])
    read: list[str] = []
    thread = threading.Thread(target=lambda: read.append(fifo.read_text()))
    thread.start()
    told.heed(HIGH[:3], scene.SESSION)
    thread.join(30)
    first, document = read[0].splitlines()
    assert first == f"high 3 {HIGH[2].rule.name}"
    assert json.loads(document)["rule"]["level"] == "high"


def test_settings_are_read_and_mistakes_told(tmp_path: Path) -> None:
    path = config_path({"XDG_CONFIG_HOME": str(tmp_path)})
    assert path == tmp_path / "rubicon" / "config.toml"
    assert read_config(path) == Config()
    path.parent.mkdir()
    path.write_text('[notify]\nbell = true\n[notify.command]\ncritical = "true"\n')
    assert read_config(path).notify == Notify(bell=True, command={Level.CRITICAL: "true"})
    for wrong in (
        "[notify]\nbel = true",
        "[notify.command]\nworst = 'x'",
        "nonsense",
        "[notify]\nbell = 7.5",
    ):
        path.write_text(wrong)
        with pytest.raises(UsageError, match=r"config\.toml"):
            read_config(path)


def stat_line(pid: int, ticks: int, started: int, pages: int) -> str:
    fields = ["0"] * 40
    fields[10], fields[11], fields[18], fields[20] = str(ticks), "0", str(started), str(pages)
    return f"{pid} (a) b) c) S {' '.join(fields)}"


def test_what_processes_take(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    clock = Clock()
    sampler = Sampler(tmp_path, clock)
    who = (7, 5_000_000_000)
    ticks = os.sysconf("SC_CLK_TCK")
    page = os.sysconf("SC_PAGE_SIZE")
    for second, used in ((0, 0), (2, ticks)):
        clock.now = second
        (tmp_path / "7" / "stat").write_text(stat_line(7, used, 500, 3))
        (found,) = sampler.sample([who]).values()
    assert (found.cpu_percent, found.memory_bytes) == (50.0, 3 * page)
    assert not sampler.sample([(7, 6_000_000_000), (8, 1)])
