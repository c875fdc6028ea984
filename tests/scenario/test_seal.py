"""The trace as evidence: who sealed it, and what a command was told of it meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

from .driver import Rubicon, until


def test_a_session_is_sealed_by_the_key_of_its_user(rubicon: Rubicon, tmp_path: Path) -> None:
    assert rubicon.run("true").returncode == 0
    verdict = json.loads(rubicon.do("verify", "--json", rubicon.trace).stdout)
    assert verdict["state"] == "intact"
    assert verdict["sealed"]["name"] == "this machine's key"
    assert verdict["sealed"]["blocks"] == verdict["blocks"] - 1
    assert verdict["sealed"]["key"] in rubicon.do("keys").stdout
    key = rubicon.folder / ".config/rubicon/keys/seal"
    assert key.stat().st_mode & 0o777 == 0o600

    # Elsewhere: another machine with a key of its own has to be told whom to trust.
    public = tmp_path / "recorder.pub"
    public.write_text(rubicon.do("keys", "public").stdout)
    shutil.rmtree(key.parent)
    assert rubicon.do("keys", "public").returncode == 0
    assert rubicon.verify() == (2, "wrong-key")
    assert rubicon.do("verify", "--key", public, rubicon.trace).returncode == 0
    assert rubicon.do("keys", "trust", public).returncode == 0
    assert rubicon.verify() == (0, "intact")
    assert "recorder" in rubicon.do("keys").stdout


def test_a_key_that_is_open_to_others_seals_nothing(rubicon: Rubicon) -> None:
    rubicon.do("keys", "public")
    key = rubicon.folder / ".config/rubicon/keys/seal"
    key.chmod(0o644)
    done = rubicon.run("touch", "ran")
    assert done.returncode == 1
    assert f"chmod 600 {key}" in done.stderr
    assert not (rubicon.work / "ran").exists()


def test_the_heads_are_anchored(rubicon: Rubicon) -> None:
    done = rubicon.do(
        *(
            "run",
            "--anchor",
            f"cat >>{rubicon.folder}/heads; echo kept $RUBICON_BLOCK",
            "--trace",
            rubicon.trace,
        ),
        *("--", "true"),
    )
    assert done.returncode == 0, done.stderr
    heads = [json.loads(line) for line in (rubicon.folder / "heads").read_text().splitlines()]
    assert heads[0]["block"] == 0
    verdict = json.loads(rubicon.do("verify", "--json", rubicon.trace).stdout)
    assert (heads[-1]["head"], heads[-1]["block"]) == (
        verdict["sealed"]["head"],
        verdict["sealed"]["blocks"] - 1,
    )
    (session,) = {head["session"] for head in heads}
    assert session in rubicon.export()[0]["rubicon"]["session"]


def test_an_anchor_that_fails_is_told_and_stops_nothing(rubicon: Rubicon) -> None:
    done = rubicon.do("run", "--anchor", "echo no route >&2; exit 3", "--trace", rubicon.trace, "--", "true")
    assert done.returncode == 0
    assert "was not anchored: the command ended with status 3: no route" in done.stderr
    assert rubicon.verify() == (0, "intact")


def test_a_killed_engine_leaves_a_sealed_beginning(rubicon: Rubicon) -> None:
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sleep", "60")
    until(lambda: rubicon.trace.exists() and _sealed_blocks(rubicon), "the first seal")
    rubicon.adopt(started)
    os.kill(started.pid, signal.SIGKILL)
    started.end()
    assert rubicon.verify() == (2, "cut")
    assert _sealed_blocks(rubicon) >= 1


def _sealed_blocks(rubicon: Rubicon) -> int:
    verdict = json.loads(rubicon.do("verify", "--json", rubicon.trace).stdout)
    blocks = verdict["sealed"]["blocks"]
    assert isinstance(blocks, int)
    return blocks
