from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.tui import scene
from tracer.events import Action, Busy, Exit, File, Network, NetworkType
from tui import describe
from tui.fields import detail_fields

WHO = scene.process(9, scene.process(8, None, "bash"), "python3", "x.py")


@pytest.mark.parametrize(
    ("action", "file", "words"),
    [
        (Action.FILE_WRITE, File("/a"), "/a"),
        (Action.FILE_CLOSE, File("/a", bytes_written=2048), "/a 2.0 KiB"),
        (Action.FILE_RENAME, File("/b", original_path="/a"), "/a → /b"),
        (Action.FILE_LINK, File("/b", original_path="/a"), "/a → /b"),
        (Action.FILE_SYMLINK, File("/b", target_path="../a"), "/b → ../a"),
        (Action.FILE_CHMOD, File("/a", mode=0o100755), "/a 0755"),
        (Action.FILE_MKDIR, File("/a", mode=0o40700), "/a 0700"),
        (Action.FILE_CHOWN, File("/a", owner_id=0), "/a 0"),
        (Action.FILE_CHOWN, File("/a", group_id=5), "/a :5"),
        (Action.FILE_CHOWN, File("/a", owner_id=3, group_id=5), "/a 3:5"),
        (Action.FILE_TRUNCATE, File("/a", size=10), "/a to 10 B"),
        (Action.FILE_UNLINK, File("/a"), "/a"),
    ],
)
def test_what_was_done_to_a_file(action: Action, file: File, words: str) -> None:
    assert describe.subject(scene.Story().event(WHO, action, file)) == words


def test_what_was_open_before_the_watch() -> None:
    event = scene.Story().event(WHO, Action.FILE_WRITE, File("/a"))
    assert describe.subject(replace(event, snapshot=True)) == "/a (open before the watch)"
    event = scene.Story().event(WHO, Action.CONNECT, scene.tcp("::1", 22))
    assert describe.subject(replace(event, snapshot=True)) == "tcp [::1]:22 (open before the watch)"


def test_other_subjects() -> None:
    story = scene.Story()
    unix = Network(NetworkType.UNIX, "unix", "", 0, "", 0, "", "/run/x")
    assert describe.subject(story.event(WHO, Action.CONNECT, scene.tcp("::1", 22))) == "tcp [::1]:22"
    assert (
        describe.subject(story.event(WHO, Action.CONNECT, scene.tcp("1.2.3.4", 22, "h")))
        == "tcp 1.2.3.4:22 h"
    )
    assert describe.subject(story.event(WHO, Action.CONNECT, unix)) == "unix /run/x"
    assert describe.subject(story.event(WHO, Action.EXEC, scene.exec_of(WHO))) == "python3 x.py"
    assert describe.subject(story.event(WHO, Action.EXIT, Exit(3, 0))) == "status 3"
    assert describe.subject(story.event(WHO, Action.EXIT, Exit(0, 9))) == "killed by SIGKILL"
    assert describe.subject(story.event(WHO, Action.FORK)) == "by bash[8]"


def test_the_program_is_named_as_the_kernel_names_it() -> None:
    disguised = scene.process(1, None, "[kworker]", "-o", executable="/tmp/xmrig", name="xmrig")
    script = scene.process(1, None, "/usr/bin/python3", "/usr/bin/pip", "install", name="pip")
    long = scene.process(1, None, "x", executable="/bin/a-name-of-20-letters", name="a-name-of-20-le")
    assert describe.typed(disguised) == "xmrig -o"
    assert describe.typed(script) == "pip install"
    assert describe.typed(long) == "a-name-of-20-letters"


def test_open_flags_by_name() -> None:
    assert describe.open_flags(os.O_WRONLY | os.O_CREAT | os.O_TRUNC) == "O_WRONLY|O_CREAT|O_TRUNC"
    assert describe.open_flags(os.O_RDWR | os.O_APPEND) == "O_RDWR|O_APPEND"


def test_numbers_that_have_no_name() -> None:
    assert describe.error_name(0) == ""
    assert describe.error_name(13) == "EACCES"
    assert describe.error_name(9_999) == "errno 9999"
    assert describe.signal_name(200) == "signal 200"


def test_sizes_durations_and_times() -> None:
    assert [describe.byte_size(size) for size in (0, 1023, 1024, 2**41)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "2.0 TiB",
    ]
    assert describe.duration(3_725_000_000_000) == "01:02:05"
    assert describe.duration(90_061_000_000_000) == "1d 01:01:01"
    assert describe.clock_time(scene.START_NS) == "12:00:00"
    assert describe.full_time(scene.START_NS + 1_500) == "2025-11-24 12:00:00.000001"
    assert describe.several(1, "process") == "1 process"
    assert describe.several(2_000, "process") == "2,000 processes"


def test_who_is_busy_says_how_and_with_whom() -> None:
    event = scene.Story().event(WHO, Action.CPU, Busy(398, 4, "198.51.100.7"))
    assert [(field.label, field.value) for field in detail_fields(event)] == [
        ("busy", "4 threads, 398 % of a processor"),
        ("with", "198.51.100.7"),
    ]
