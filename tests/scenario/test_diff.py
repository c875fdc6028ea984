"""Two runs compared: what is made anew each time is the same, what was never done before is not."""

from __future__ import annotations

import json

from .driver import Rubicon

USUAL = """
folder=$(mktemp -d /tmp/tmpXXXXXXXX) && echo x >$folder/part-$$ && cp $folder/part-$$ out-$$ && rm -r $folder
python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
socket.create_connection(s.getsockname())'
"""


def test_only_what_was_never_done_is_new(rubicon: Rubicon) -> None:
    traces = [rubicon.folder / name for name in ("first", "again", "astray")]
    for trace, more in zip(traces, ("", "", "cp /bin/true ./helper; ./helper; echo >../bad"), strict=True):
        done = rubicon.do("run", "--trace", trace, "--", "sh", "-ec", USUAL + more)
        assert done.returncode == 0, done.stderr
    same = rubicon.do("diff", traces[0], traces[1])
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "rubicon: nothing new\n")
    astray = rubicon.do("diff", traces[1], traces[2], "--json")
    assert astray.returncode == 3
    found = [json.loads(line) for line in astray.stdout.splitlines()]
    assert sorted((each["kind"], each["first"]) for each in found if each["kind"] != "rule") == [
        ("executable", f"{rubicon.work}/helper"),
        ("path", f"{rubicon.folder}/bad"),
        ("path", f"{rubicon.work}/helper"),
    ]
    assert {each["name"] for each in found if each["first"].endswith("/helper")} == {"${workspace}/helper"}
