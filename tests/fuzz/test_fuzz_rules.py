"""No bytes, however bad, make the loaders raise anything but RuleFileError; no event makes a judge raise."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.rules.made import START_NS, sigma_rule
from tracer.errors import RuleFileError
from tracer.events import (
    Action,
    Category,
    Detail,
    Event,
    Evidence,
    Exec,
    Exit,
    File,
    Network,
    NetworkType,
    Outcome,
    Process,
    StdioKind,
)
from tracer.rules import RuleSet, load_rules
from tracer.rules.items import node_of
from tracer.rules.logsources import LOG_SOURCES
from tracer.rules.sigmaline import parse_line

fuzz = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

POLICY = b"""\
name: x
files: {level: low, write: [/work/**, "!/work/x"]}
network: {connect: [localhost, "a.example:443", "*.b.example", "10.0.0.0/8:1-9", "unix:@x*"]}
process: {exec: [git, /usr/bin/**]}
"""
RULE = sigma_rule(
    "  s:\n    Image|endswith: [/ssh, 'x*y']\n    CommandLine|re: '(a+)+$'\n  f: [a, '*b?']\n"
    "  condition: s and not 1 of f*"
).encode()


def load(path: Path, data: bytes, *, policy: bool) -> RuleSet | None:
    path.write_bytes(data)
    try:
        return load_rules(path if policy else None, [] if policy else [path], packs=False)
    except RuleFileError as error:
        problems = error.problems
    assert problems
    assert all(problem.file == path and problem.line >= 0 for problem in problems)
    return None


@pytest.mark.parametrize("policy", [True, False])
@fuzz
@given(data=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, policy: bool, data: bytes) -> None:
    load(tmp_path / "f", data, policy=policy)


@pytest.mark.parametrize("policy", [True, False])
@fuzz
@given(place=st.integers(0, 400), length=st.integers(0, 6), data=st.binary(max_size=8))
def test_a_good_file_with_a_hole(tmp_path: Path, policy: bool, place: int, length: int, data: bytes) -> None:
    good = POLICY if policy else RULE
    load(tmp_path / "f", good[:place] + data + good[place + length :], policy=policy)


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.dates(),
        st.binary(max_size=4),
        st.text("/*!?[]{}:.-abAB019 @%\\\x00\ud800ü", max_size=12),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["files", "network", "process", "write", "connect", "exec", "level", "on_violation"])


@fuzz
@given(value=st.dictionaries(keys, st.dictionaries(keys, values, max_size=2) | values, max_size=4))
def test_policies_of_any_values(tmp_path: Path, value: object) -> None:
    load(tmp_path / "f", yaml.dump(value).encode("utf-8", "surrogatepass"), policy=True)


items = st.builds(
    lambda field, modifiers: "|".join([field, *modifiers]),
    st.sampled_from(
        ["Image", "CommandLine", "ProcessId", "process.args", "LogonId", "rubicon.exec.deleted", "", "x"]
    ),
    st.lists(
        st.sampled_from(
            [
                "all",
                "neq",
                "base64",
                "base64offset",
                "cased",
                "cidr",
                "contains",
                "endswith",
                "exists",
                "expand",
                "fieldref",
                "gt",
                "i",
                "lte",
                "minute",
                "re",
                "s",
                "startswith",
                "utf16",
                "wide",
                "windash",
                "nope",
            ]
        ),
        max_size=3,
    ),
)


@fuzz
@given(
    value=st.dictionaries(
        st.sampled_from(["a", "b_1", "_c"]), st.dictionaries(items, values, max_size=3) | values
    ),
    condition=st.text("ab_1cof() notdrhem*|", max_size=20) | values,
)
def test_rules_of_any_values(tmp_path: Path, value: dict[str, object], condition: object) -> None:
    rule = {
        "title": "T",
        "logsource": {"category": "process_creation"},
        "detection": value | {"condition": condition},
    }
    rules = load(tmp_path / "f", yaml.dump(rule).encode("utf-8", "surrogatepass"), policy=False)
    if rules is not None:
        for event in EVENTS:
            rules.judge(event)


# --- events -----------------------------------------------------------------------------------------------

texts = st.text(st.characters(), max_size=20) | st.text("/-R:ab.*\udcff\n\x00é", max_size=60)
ports = st.integers(0, 65535)


def _process(executable: str, args: list[str], parent: Process | None, uid: int) -> Process:
    return Process("e", 1, 1, START_NS, executable, tuple(args), "/w", "n", uid, "", uid, uid, 1, 1, parent)


processes = st.builds(_process, texts, st.lists(texts, max_size=5), st.none(), st.integers(0, 2**32 - 1))
processes = processes | st.builds(_process, texts, st.lists(texts, max_size=5), processes, st.just(0))
stdio = st.sampled_from(StdioKind)
details: st.SearchStrategy[Detail] = st.one_of(
    st.none(),
    st.builds(
        Exec,
        texts,
        texts,
        st.lists(texts, max_size=5).map(tuple),
        ports,
        ports,
        st.booleans(),
        stdio,
        stdio,
        stdio,
        texts,
    ),
    st.builds(Exit, ports, ports),
    st.builds(
        Network,
        st.sampled_from(NetworkType),
        texts,
        texts | st.ip_addresses().map(str),
        ports,
        texts,
        ports,
        texts,
        texts,
    ),
    st.builds(File, texts, texts, texts, mode=ports),
)
events = st.builds(
    Event,
    sequence=st.just(1),
    time_ns=st.just(START_NS),
    action=st.sampled_from(Action),
    category=st.sampled_from(Category),
    outcome=st.sampled_from(Outcome),
    error=st.sampled_from([0, 1, 2, 13, 111, 512]),
    process=processes,
    thread_id=st.just(1),
    scope=st.just(1),
    evidence=st.just(Evidence.USER),
    snapshot=st.booleans(),
    detail=details,
)
EVENTS = [
    Event(
        1,
        START_NS,
        Action.EXEC,
        Category.PROCESS,
        Outcome.SUCCESS,
        0,
        _process(path, args, None, 0),
        1,
        1,
        Evidence.KERNEL,
    )
    for path, args in (("", []), ("/usr/bin/ssh", ["ssh", "-R", "\udcff", ""]))
]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    """All packs, a policy, and rules that read every field there is."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "policy.yaml").write_bytes(POLICY)
    paths = []
    for source in LOG_SOURCES.values():
        for number, name in enumerate(source.fields):
            paths.append(folder / f"{source.category}{number}.yml")
            text = sigma_rule(
                f"  s: ['{{', x]\n  f: {{{name}: ['*a?b*', 'a*', 5]}}\n  condition: s or not f",
                source.category,
            )
            paths[-1].write_text(text.replace("title: T", f"title: {source.category} {name}"))
    return load_rules(folder / "policy.yaml", paths)


@fuzz
@given(event=events)
def test_any_event(everything: RuleSet, event: Event) -> None:
    for violation in everything.judge(event):
        assert violation.event is event
        assert isinstance(violation.summary, str)
        assert all(
            isinstance(text, str) for match in violation.matched for text in (match.field, match.value)
        )


def test_every_field_takes_every_kind_of_test() -> None:
    """At least one modifier of each kind is either compiled or refused with a sentence."""
    refused = set()
    for source in LOG_SOURCES.values():
        for name in source.fields:
            for item, value in (
                (name, "x"),
                (f"{name}|re", "x"),
                (f"{name}|exists", True),
                (f"{name}|gt", 5),
            ):
                try:
                    node_of(source, parse_line(item, value))
                except ValueError as error:
                    refused.add(str(error).partition(",")[0])
    assert refused == {"a comparison needs a field with number values"}
