"""Sigma rules: what each construct matches, what it explains, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.unit.rules.made import (
    AGENT,
    broken,
    connected,
    event,
    file,
    matches,
    process,
    ran,
    rules_of,
    sigma_rule,
)
from tracer.errors import RuleFileError
from tracer.events import Action, Event, Exit, Level, Match, Response, RuleKind, StdioKind
from tracer.rules import Given, load_rules
from tracer.rules.fields import PROCESS, Facts

SSH = ran("ssh", "-N", "-R", "2222:localhost:22", "Host.Example")


def judged(folder: Path, detection: str, made: Event = SSH, category: str = "process_creation") -> bool:
    return bool(rules_of(folder, "", sigma_rule(detection, category)).judge(made))


def selection(items: str) -> str:
    lines = "\n".join(f"    {line}" for line in items.splitlines())
    return f"  selection:\n{lines}\n  condition: selection"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("Image: /usr/bin/ssh", True),
        ("Image: /USR/bin/SSH", True),
        ("Image|cased: /USR/bin/SSH", False),
        ("Image|cased: /usr/bin/ssh", True),
        ("Image: /usr/bin", False),
        ("Image: [/bin/x, /usr/bin/ssh]", True),
        ("Image: '*/SSH'", True),
        ("Image: '*/s?h'", True),
        ("Image: '*/s??h'", False),
        (r"Image: '*/s\?h'", False),
        ("Image: '/usr/*/ssh'", True),
        ("Image: '*'", True),
        ("Image|endswith: /SSH", True),
        ("Image|endswith|cased: /SSH", False),
        ("Image|startswith: /usr/", True),
        ("Image|startswith: [/opt/, /usr/bin/s]", True),
        ("CommandLine|contains: host.example", True),
        ("CommandLine|contains: [nope, ' -r ']", True),
        ("CommandLine|contains|all: ['-n', localhost]", True),
        ("CommandLine|contains|all: ['-n', nope]", False),
        ("CommandLine|contains|all: ['-N', 'ssh*local']", True),
        ("CommandLine|re: '-R \\d+:'", True),
        ("CommandLine|re: '-r \\d+:'", False),
        ("CommandLine|re|i: '-r \\d+:'", True),
        ("CommandLine|re: ['nope', '^ssh']", True),
        ("CommandLine|re: 'ssh$'", False),
        ("CommandLine|windash|contains: ' /N '", True),
        ("CommandLine|contains: ''", True),
        ("Image: null", False),
        ("Image: ''", False),
        ("Image|exists: true", True),
        ("Image|exists: false", False),
        ("OriginalFileName: null", True),
        ("OriginalFileName: x", False),
        ("OriginalFileName|exists: false", True),
        ("rubicon.exec.stdin_peer: null", True),
        ("rubicon.exec.stdin_peer: ''", True),
        ("rubicon.exec.stdin_peer|exists: false", True),
        ("ProcessId: 4302", True),
        ("ProcessId: '4302'", True),
        ("ProcessId: [1, 4302]", True),
        ("ProcessId: 430", False),
        ("ProcessId|gt: 4301", True),
        ("ProcessId|gt: 4302", False),
        ("ProcessId|gte: 4302", True),
        ("ProcessId|lt: 4302", False),
        ("ProcessId|lte: 4302", True),
        ("ProcessId|startswith: '43'", True),
        ("Image|neq: /usr/bin/ssh", False),
        ("Image|neq: /usr/bin/scp", True),
        ("User: Ada", True),
        ("ParentImage|endswith: /python3.11", True),
        ("ParentCommandLine|contains: agent.py", True),
        ("ParentProcessId: 7", True),
        ("CurrentDirectory: /work", True),
        ("process.args: -n", True),
        ("process.args|cased: -n", False),
        ("process.args: ['-X', '-R']", True),
        ("process.args|contains|all: ['2222', example]", True),
        ("process.args|re: '^\\d+:\\w+:\\d+$'", True),
        ("process.args|re: '^localhost'", False),
        ("process.args: null", False),
        ("process.args|exists: true", True),
        ("process.name: ssh", True),
        ("process.ancestors.executable|endswith: /python3.11", True),
        ("process.parent.args: agent.py", True),
        ("rubicon.exec.stdin: pipe", True),
        ("rubicon.exec.deleted: false", True),
        ("rubicon.exec.deleted: true", False),
        ("event.outcome: success", True),
        ("user.id: 1000", True),
        ("Image|fieldref: process.executable", True),
        ("Image|fieldref: CommandLine", False),
        ("Image|fieldref|endswith: process.name", True),
        ("CommandLine|fieldref|startswith: process.name", True),
        ("CommandLine|fieldref|contains: process.name", True),
    ],
)
def test_an_item(tmp_path: Path, item: str, expected: bool) -> None:
    assert judged(tmp_path, selection(item)) is expected


@pytest.mark.parametrize("before", ["", "x", "xx"])
def test_base64_at_any_offset(tmp_path: Path, before: str) -> None:
    made = ran("echo", base64.b64encode(f"{before}bash -i >& /dev/tcp/".encode()).decode())
    assert judged(tmp_path, selection("CommandLine|base64offset|contains: '/dev/tcp/'"), made)
    assert not judged(tmp_path, selection("CommandLine|base64offset|contains: '/dev/udp/'"), made)


@pytest.mark.parametrize(
    ("network", "ip", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.0.0.0/8", "2001:db8::1", False),
        ("2001:db8::/32", "2001:db8::1", True),
    ],
)
def test_networks(tmp_path: Path, network: str, ip: str, expected: bool) -> None:
    detection = selection(f"DestinationIp|cidr: ['192.0.2.0/24', '{network}']")
    assert judged(tmp_path, detection, connected(ip, 1), "network_connection") is expected


PARTS = """\
  a: {Image|endswith: /ssh}
  b: {CommandLine|contains: nope}
  sel_1: {CommandLine|contains: '-N'}
  sel_2: {CommandLine|contains: '-X'}
  _hidden: {Image: nope}
  condition: """


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a", True),
        ("b", False),
        ("a and b", False),
        ("a or b", True),
        ("not b", True),
        ("a and not b", True),
        ("not a", False),
        ("not not a", True),
        ("b or a and sel_1", True),
        ("(b or a) and sel_2", False),
        ("b or (a and not (sel_2 or b))", True),
        ("1 of sel_*", True),
        ("any of sel_*", True),
        ("all of sel_*", False),
        ("all of a*", True),
        ("1 of them", True),
        ("all of them", False),
        ("not 1 of b*", True),
        ("a and not all of sel_*", True),
        ("1 of _hid*", False),
        ("[a, b]", True),
        ("[b, sel_2]", False),
    ],
)
def test_a_condition(tmp_path: Path, condition: str, expected: bool) -> None:
    assert judged(tmp_path, PARTS + condition) is expected


def test_lists_of_mappings_are_alternatives(tmp_path: Path) -> None:
    detection = """\
  s:
    - Image: nope
    - Image|endswith: /ssh
      CommandLine|contains: '-N'
  condition: s"""
    assert judged(tmp_path, detection)
    assert not judged(tmp_path, detection.replace("-N", "-X"))


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ("[nope, '-r 2222']", True),
        ("nope", False),
        ("'host?example'", True),
        ("{'|all': ['-n', '/work']}", True),
        ("{'|all': ['-n', 'nope']}", False),
        ("{'|re': '-R 2+:'}", True),
        ("{'|cased': 'HOST'}", False),
        ("2222", True),
    ],
)
def test_keywords_are_looked_for_in_all_text(tmp_path: Path, keywords: str, expected: bool) -> None:
    assert judged(tmp_path, f"  k: {keywords}\n  condition: k") is expected


def test_a_violation_names_what_matched(tmp_path: Path) -> None:
    rule = """\
title: Reverse tunnel
id: 11111111-1111-4111-8111-111111111111
level: critical
description: |
  Leads back in.
tags: [attack.t1572, attack.command-and-control, attack.T1021.004, attack.t1572, cve.2024-1]
author: someone
custom: kept by Sigma, not used
logsource: {category: process_creation}
detection: {s: {Image|endswith: /ssh}, condition: s}
"""
    rules = rules_of(tmp_path, "", rule)
    (violation,) = rules.judge(SSH)
    assert violation.rule is rules.rules[0]
    assert violation.rule.id == "11111111-1111-4111-8111-111111111111"
    assert violation.rule.level is Level.CRITICAL
    assert violation.rule.kind is RuleKind.DETECTION
    assert violation.rule.description == "Leads back in."
    assert violation.rule.techniques == ("T1572", "T1021.004")
    assert violation.event is SSH
    assert violation.matched == (Match("Image", "/usr/bin/ssh"),)
    assert violation.summary == (
        'ssh (pid 4302) ran ssh -N -R 2222:localhost:22 Host.Example, which matches "Reverse tunnel"'
    )


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("  s: {Image|endswith: /ssh, CommandLine|contains: '-N'}\n  condition: s", ["Image", "CommandLine"]),
        ("  a: {Image: nope}\n  b: {ProcessId: 4302}\n  condition: a or b", ["ProcessId"]),
        ("  a: {ProcessId: 4302}\n  b: {Image|endswith: h}\n  condition: a or b", ["ProcessId"]),
        ("  a: {ProcessId: 4302}\n  b: {Image: x}\n  condition: a and not b", ["ProcessId"]),
        ("  b: {Image: x}\n  condition: not b", []),
        ("  a: {CommandLine|contains|all: [ssh, '-N']}\n  condition: a", ["CommandLine"]),
        ("  a: {CommandLine: '*', OriginalFileName: null}\n  condition: a", ["CommandLine"]),
        ("  a: [ssh]\n  condition: a", ["Image"]),
    ],
)
def test_only_the_fields_that_made_it_match(tmp_path: Path, detection: str, expected: list[str]) -> None:
    violations = rules_of(tmp_path, "", sigma_rule(detection)).judge(SSH)
    assert [field for field, _ in matches(violations)] == expected


def test_of_a_list_the_texts_that_matched(tmp_path: Path) -> None:
    violations = rules_of(tmp_path, "", sigma_rule(selection("process.args|startswith: '-'"))).judge(SSH)
    assert matches(violations) == [("process.args", "-N"), ("process.args", "-R")]


def test_a_rule_may_bring_its_own_words(tmp_path: Path) -> None:
    rule = sigma_rule(selection("Image|endswith: /ssh")) + "rubicon: {summary: opened a tunnel}\n"
    (violation,) = rules_of(tmp_path, "", rule).judge(SSH)
    assert violation.summary == "ssh (pid 4302) opened a tunnel: ssh -N -R 2222:localhost:22 Host.Example"


def test_a_rule_may_say_what_is_to_be_done(tmp_path: Path) -> None:
    rule = sigma_rule(selection("Image|endswith: /ssh"))
    (kill,) = rules_of(tmp_path, "", rule + "rubicon: {on_violation: kill}\n").judge(SSH)
    assert kill.rule.response is Response.KILL
    (alert,) = rules_of(tmp_path, "", rule).judge(SSH)
    assert alert.rule.response is Response.ALERT


def test_a_rule_cannot_refuse_what_was_done(tmp_path: Path) -> None:
    rule = sigma_rule(selection("Image|endswith: /ssh")) + "rubicon: {on_violation: deny}\n"
    with pytest.raises(RuleFileError, match="a detection matches what has been done"):
        rules_of(tmp_path, "", rule)


def test_a_rule_without_product_applies(tmp_path: Path) -> None:
    assert rules_of(tmp_path, "", sigma_rule(selection("Image|endswith: /ssh"), product="")).judge(SSH)
    assert rules_of(tmp_path, "", sigma_rule(selection("Image|endswith: /ssh"), product="Linux")).judge(SSH)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{category: process_creation, product: windows}", "is for product windows"),
        ("{product: linux, service: sudo}", "is for the log of service sudo"),
        ("{category: process_creation, product: linux, service: x}", "is for the log of service x"),
        ("{definition: all}", "names no product, category or service"),
        ("{product: aix}", "is for product aix"),
        ("{category: webserver}", "category webserver is not recorded"),
    ],
)
def test_a_rule_for_another_log_is_skipped_with_the_reason(tmp_path: Path, source: str, reason: str) -> None:
    rule = f"title: T\nlogsource: {source}\ndetection: {{s: {{Unheard|of: 1}}, condition: s}}\n"
    rules = rules_of(tmp_path, "", rule)
    assert rules.rules == ()
    assert [(skipped.title, skipped.line, skipped.reason) for skipped in rules.skipped] == [("T", 1, reason)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("CommandLine|expand: '%name%'", "needs values for %name%: give them with --set name=A,B"),
        ("ProcessId|minute: 5", "asks for TimestampPart values"),
        ("Weather: fine", 'process_creation has no field "Weather"'),
        (
            "CommandLine|re: '(a+)\\1'",
            "its expression cannot be matched in bounded time: invalid escape sequence: \\1",
        ),
        (
            "CommandLine|re: '(?<=a)b'",
            "its expression cannot be matched in bounded time: invalid perl operator: (?<=",
        ),
    ],
)
def test_a_rule_that_cannot_be_judged_is_skipped(tmp_path: Path, item: str, reason: str) -> None:
    (skipped,) = rules_of(tmp_path, "", sigma_rule(selection(item))).skipped
    assert skipped.reason == reason


@pytest.mark.parametrize("condition", ["s | count() by User > 5", "s\n  timeframe: 5m"])
def test_counting_as_it_was_before_correlations(tmp_path: Path, condition: str) -> None:
    (skipped,) = rules_of(tmp_path, "", sigma_rule(f"  s: {{Image: x}}\n  condition: {condition}")).skipped
    assert skipped.reason.startswith("it counts as rules did before there were correlations")


def test_placeholders(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(
        sigma_rule(selection("User|expand: '%admins%'\nCommandLine|expand|contains: ' %what% '"))
    )
    given = Given({"what": ("-R",)}, {"admins": ("root", "ada"), "what": ("-n", "-X")})
    rules = load_rules(None, [tmp_path / "r.yml"], packs=False, given=given)
    assert broken(rules.judge(SSH)) == ["T"]
    other = Given({}, {"admins": ("root",), "what": ("-n",)})
    assert not load_rules(None, [tmp_path / "r.yml"], packs=False, given=other).judge(SSH)
    assert load_rules(None, [tmp_path / "r.yml"], packs=False, given=other).digest != rules.digest


def test_words_in_any_line_of_linux(tmp_path: Path) -> None:
    """A rule of no category: the words are looked for in what each event says, once for each."""
    words = "{words: ['ld.so.pre*', 'evil'], condition: words}"
    rule = f"title: T\nlogsource: {{product: linux}}\ndetection: {words}\n"
    rules = rules_of(tmp_path, "", rule)
    for made in (
        ran("sh", "-c", "echo x > /etc/LD.SO.PRELOAD"),
        file("/etc/ld.so.preload"),
        connected("192.0.2.1", 1, "evil.example"),
    ):
        assert broken(rules.judge(made)) == ["T"]
    assert not rules.judge(file("/x", who=ran("evil").process)), "who did it is not in the line"


def test_a_rule_that_can_never_match_is_skipped_with_the_field(tmp_path: Path) -> None:
    never = selection("Image|endswith: /ssh\nLogonId: 0")
    (skipped,) = rules_of(tmp_path, "", sigma_rule(never)).skipped
    assert skipped.reason == "can never match: Linux events do not have LogonId"
    sometimes = "  a: {LogonId: 0}\n  b: {Image|endswith: /ssh}\n  condition: a or b"
    assert judged(tmp_path, sometimes)


def test_events_meet_only_the_rules_of_their_log_source(tmp_path: Path) -> None:
    everything = [
        sigma_rule(selection("Image: '*'"), category)
        for category in ("process_creation", "network_connection", "file_event")
    ]
    rules = rules_of(
        tmp_path, "", *(text.replace("title: T", f"title: T{n}") for n, text in enumerate(everything))
    )
    assert broken(rules.judge(SSH)) == ["T0"]
    assert broken(rules.judge(connected("192.0.2.1", 1))) == ["T1"]
    assert broken(rules.judge(file("/x"))) == ["T2"]
    assert rules.judge(event(Action.EXIT, Exit(0, 0))) == ()
    assert rules.judge(event(Action.FORK, None)) == ()


def problems(folder: Path, rule: str) -> list[str]:
    with pytest.raises(RuleFileError) as caught:
        rules_of(folder, "", rule)
    return [str(problem).removeprefix(f"{folder}/rule0.yml:") for problem in caught.value.problems]


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    rule = """\
title: T
logsource:
  category: process_creation
  product: linux
detection:
  one:
    Imgae|endswith: /ssh
    CommandLine|contians: x
  two:
    - CommandLine|re: '(open'
    - CommandLine|re: 5
  three:
    ProcessId|gt: x
    Image|gt: 5
    Image|cidr: 10.0.0.0/8
  four: {}
  condition: one and nine
"""
    assert problems(tmp_path, rule) == [
        '7: detection.one.Imgae|endswith: process_creation has no field "Imgae"; did you mean "Image"?',
        "8: detection.one.CommandLine|contians: Unknown modifier 'contians'",
        "10: detection.two[0].CommandLine|re: Regular expression '(open' is invalid: missing ): (open",
        "11: detection.two[1].CommandLine|re: a regular expression is text, not 5",
        (
            "13: detection.three.ProcessId|gt: "
            "Modifier SigmaGreaterThanModifier incompatible to value type of 'x'"
        ),
        '14: detection.three.Image|gt: a comparison needs a field with number values, "Image" has none',
        '15: detection.three.Image|cidr: cidr needs a field with address values, "Image" has none',
        "16: detection.four: is empty",
        '17: detection.condition: names "nine", which is not defined',
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("- a\n", ["1: a Sigma rule is a mapping of keys"]),
        ("title: T\n", ["1: logsource: is missing", "1: detection: is missing"]),
        (
            sigma_rule(selection("Image: x")) + "level: hihg\nid: 5\ntags: [attack]\n",
            [
                "9: level: Input should be 'informational', 'low', 'medium', 'high' or 'critical'",
                "10: id: UUID input should be a string, bytes or UUID object",
                '11: tags[0]: "attack" is not a tag: it has no namespace, as in "attack.t1572"',
            ],
        ),
        (
            "title: T\ncorrelation: {type: event_count}\n",
            ["2: correlation.timespan: is missing"],
        ),
        (
            "title: T\nfilter: {}\n",
            ["1: logsource: is missing", "2: filter.rules: is missing", "2: filter.condition: is missing"],
        ),
        (
            sigma_rule("  s: {Image: x}"),
            ["5: detection.condition: a condition is text, such as: selection and not filter"],
        ),
        (sigma_rule("  s: {Image: x}\n  condition: []"), ["7: detection.condition: is empty"]),
        (
            sigma_rule("  s: {Image: x}\n  condition: 1 of z*"),
            ['7: detection.condition: "of z*" names nothing that is defined'],
        ),
        (sigma_rule("  s:\n  condition: s"), ["6: detection.s: is empty"]),
        (
            sigma_rule("  s: {Image: {a: b}}\n  condition: s"),
            ["6: detection.s.Image: Unsupported type: <class 'dict'>"],
        ),
    ],
)
def test_what_is_no_rule(tmp_path: Path, rule: str, expected: list[str]) -> None:
    assert problems(tmp_path, rule) == expected


@pytest.mark.parametrize("condition", ["s and", "(s", "s s", "1 of", "near s"])
def test_what_is_no_condition(tmp_path: Path, condition: str) -> None:
    (problem,) = problems(tmp_path, sigma_rule(f"  s: {{Image: x}}\n  condition: '{condition}'"))
    assert problem.startswith("7: detection.condition: ")


def test_a_refused_exec_is_judged_by_what_was_tried(tmp_path: Path) -> None:
    rule = sigma_rule(selection("Image|endswith: /xmrig\nCommandLine|contains: pool"))
    rules = rules_of(tmp_path, "", rule)
    (violation,) = rules.judge(ran("/tmp/xmrig", "-o", "pool", path="/tmp/xmrig", error=13))
    assert violation.summary == (
        'python3.11 (pid 7) tried to run /tmp/xmrig -o pool, which matches "T"; it was refused with EACCES'
    )
    assert matches((violation,)) == [("Image", "/tmp/xmrig"), ("CommandLine", "/tmp/xmrig -o pool")]
    assert rules.judge(ran("/tmp/xmrig", "-o", "pool", path="/tmp/xmrig", error=2)) == ()


def test_which_file_events_are_taken_in(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "", sigma_rule(selection("TargetFilename: /etc/x"), "file_event"))
    for action in (Action.FILE_WRITE, Action.FILE_RENAME, Action.FILE_LINK, Action.FILE_SYMLINK):
        assert broken(rules.judge(file("/etc/x", action, original="/a"))) == ["T"]
        assert rules.judge(file("/a", action, original="/etc/x")) == ()
    for action in (Action.FILE_CLOSE, Action.FILE_UNLINK, Action.FILE_MKDIR, Action.FILE_CHMOD):
        assert rules.judge(file("/etc/x", action)) == ()
    assert broken(rules.judge(file("/etc/x", error=13))) == ["T"]
    assert rules.judge(file("/etc/x", error=2)) == ()


def test_fields_of_connections(tmp_path: Path) -> None:
    detection = selection(
        "Initiated: 'true'\nDestinationPort: 22\nDestinationHostname|endswith: .example\nProtocol: tcp\n"
        "SourceIp: 10.0.0.2\nSourcePort|gt: 1024\nDestinationIsIpv6: false\nUser: ada\n"
        "CommandLine|contains: agent"
    )
    made = connected("192.0.2.1", 22, "a.example")
    assert judged(tmp_path, detection, made, "network_connection")
    assert not judged(tmp_path, detection, connected("192.0.2.1", 23, "a.example"), "network_connection")


def test_users_without_a_name(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "", sigma_rule(selection("User: [root, '77']"), "file_event"))
    assert rules.judge(file("/x", who=process(user="", uid=0)))
    assert rules.judge(file("/x", who=process(user="", uid=77)))
    assert not rules.judge(file("/x", who=process(user="", uid=78)))


def test_a_process_without_a_parent_has_no_fields_of_one(tmp_path: Path) -> None:
    made = ran("ssh", parent=None)
    assert judged(
        tmp_path, selection("ParentImage: null\nParentProcessId: null\nprocess.parent.args: null"), made
    )
    assert not judged(tmp_path, selection("ParentImage|contains: ''"), made)


def test_what_was_there_at_the_attach_is_judged(tmp_path: Path) -> None:
    made = ran(
        "ssh",
        "-R",
        snapshot=True,
        stdin=StdioKind.SOCKET,
        who=process("/usr/bin/ssh", ("ssh", "-R"), parent=AGENT),
    )
    (violation,) = rules_of(tmp_path, "", sigma_rule(selection("rubicon.exec.stdin: socket"))).judge(made)
    assert violation.summary == 'ssh (pid 7) is running ssh -R, which matches "T"'


def test_both_lists_of_ancestors_have_the_same() -> None:
    who = process("/bin/old", ("old", "-x"))
    for pid in range(70):
        who = process(pid=pid + 10, parent=who)
    facts = Facts(file("/x", who=who))
    lists = [facts[PROCESS[f"process.ancestors.{name}"].value] for name in ("executable", "command_line")]
    assert [len(each) for each in lists] == [64, 64]
