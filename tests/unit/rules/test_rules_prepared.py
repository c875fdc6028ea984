"""The pack as it was read before says what it says when it is read anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.rules.made import broken, connected, file, ran
from tracer.rules import load, load_rules, prepared
from tracer.rules.load import PACKS
from tracer.rules.prepared import Prepared, open_prepared, prepare
from tracer.rules.sigmaline import parse_line
from tracer.rules.yamlfile import parse

ROOT = Path(__file__).parents[3]
EVENTS = (
    ran("ssh", "-N", "-R", "2222:localhost:22", "host"),
    ran("xmrig", "-o", "stratum+tcp://pool.example:3333"),
    file("/root/.ssh/authorized_keys"),
    connected("169.254.169.254", 80),
    ran("git", "status"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prepared") / "pack.json"
    prepare(PACKS, made)
    return made


def test_every_document_and_every_line(path: Path) -> None:
    known = open_prepared(path)
    assert len(known.files) == len(list(PACKS.rglob("*.yml")))
    for rule in PACKS.rglob("*.yml"):
        data = rule.read_bytes()
        digest = load.hashlib.sha256(data).hexdigest()  # type: ignore[attr-defined]
        documents = known.documents(rule, digest)
        assert [each.value for each in documents] == [each.value for each in parse(rule, data)]
        assert [each.line(()) for each in documents] == [each.line(()) for each in parse(rule, data)]
    for name, line in known.lines.items():
        key, values = json.loads(name)
        anew = parse_line(key, values)
        assert line == [anew.field, anew.every, anew.negated, anew.values]


def test_it_judges_as_the_rules_themselves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = []
    for known in (Prepared(), open_prepared(path)):
        monkeypatch.setattr(load, "open_prepared", lambda known=known: known)
        sets.append(load_rules(None, []))
    one, other = sets
    assert [(each.rule, each.line, each.part) for each in one.entries] == [
        (each.rule, each.line, each.part) for each in other.entries
    ]
    assert (one.digest, one.reads, one.skipped) == (other.digest, other.reads, other.skipped)
    for event in EVENTS:
        assert broken(one.judge(event)) == broken(other.judge(event))
    assert broken(other.judge(EVENTS[0])) == ["Reverse SSH tunnel"]


def test_nothing_of_sigma_is_imported_then(path: Path) -> None:
    program = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tracer.rules import load, prepared
load.open_prepared = lambda: prepared.open_prepared(Path({str(path)!r}))
print(len(load.load_rules(None, []).entries), *sys.modules)
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    count, *modules = done.stdout.split()
    assert int(count) > 100
    assert not {name.partition(".")[0] for name in modules} & {"sigma", "pyparsing"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"code": 1}', '{"code": "x", "files": {}, "lines": {}}']
)
def test_what_cannot_be_used_is_as_if_it_were_not_there(tmp_path: Path, text: str) -> None:
    (tmp_path / "pack.json").write_text(text)
    assert open_prepared(tmp_path / "pack.json") == Prepared()
    assert open_prepared(tmp_path / "none") == Prepared()


def test_what_others_may_write_is_not_taken(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pack.json"
    copy.write_bytes(path.read_bytes())
    assert open_prepared(copy).files
    copy.chmod(0o666)
    assert open_prepared(copy) == Prepared()


def test_code_that_is_another_by_now_reads_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "_code", lambda: "other")
    assert open_prepared(path) == Prepared()


def test_a_rule_that_was_changed_is_read(path: Path, tmp_path: Path) -> None:
    rule = tmp_path / "x.yml"
    rule.write_text("title: x\n")
    assert open_prepared(path).documents(rule, "0" * 64) == []
    assert open_prepared(path).line("Image", {"no": yaml}) is None, "what JSON cannot hold"
