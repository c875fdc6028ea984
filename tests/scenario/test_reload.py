"""Rules of a live session are changed by its user, between two events; a replay finds the same."""

from __future__ import annotations

import subprocess

from .driver import Rubicon, Started, until

RULE = """title: %s
logsource: {product: linux, category: process_creation}
detection:
  s: {process.executable|endswith: /%s}
  condition: s
level: high
rubicon: {summary: ran what we look for}
"""


def does(watched: Started, program: str) -> None:
    """The watched shell runs what it is told, one after the other."""
    assert watched.process.stdin
    watched.process.stdin.write(f"{program}\n".encode())
    watched.process.stdin.flush()


def test_rules_are_read_again_when_the_user_says_so(rubicon: Rubicon) -> None:
    rules = rubicon.folder / "rules"
    rules.mkdir()
    (rules / "one.yml").write_text(RULE % ("Looks for true", "true"))
    loop = "while read program; do $program; done"
    watched = rubicon.start(
        *("run", "--rules", rules, "--trace", rubicon.trace, "--", "sh", "-c", loop), stdin=subprocess.PIPE
    )
    until(rubicon.trace.exists, "the trace")
    does(watched, "/usr/bin/true")
    watched.says("Looks for true")

    (rules / "one.yml").write_text(RULE % ("Looks for date", "date") + "level: [")
    broken = rubicon.do("rules", "reload", rubicon.trace)
    assert broken.returncode == 1
    assert "the rules stay as they are: " in broken.stderr
    assert "one.yml" in broken.stderr
    watched.says("the rules stay as they are: ")
    does(watched, "/usr/bin/true")
    until(lambda: watched.err.count("Looks for true: ") == 2, "the old rule is in force")

    (rules / "one.yml").write_text(RULE % ("Looks for date", "date"))
    good = rubicon.do("rules", "reload", rubicon.trace)
    assert good.returncode == 0, good.stderr
    assert "rules: 1 more, 1 fewer" in good.stderr
    does(watched, "/usr/bin/true")
    does(watched, "/usr/bin/date")
    watched.says("Looks for date")
    assert watched.process.stdin
    watched.process.stdin.close()
    assert watched.end() == 0
    assert watched.err.count("Looks for true: ") == 2

    (rules / "one.yml").unlink()  # the trace has them
    recorded = [each for each in rubicon.export() if each["event"]["kind"] == "alert"]
    again = rubicon.do("replay", rubicon.trace, "--recorded")
    said = [line for line in again.stdout.splitlines() if "Looks for" in line]
    assert [each["rule"]["name"] in line for each, line in zip(recorded, said, strict=True)] == [True] * 3
    assert rubicon.do("rules", "reload", rubicon.trace).returncode == 1, "it has ended"
