"""Was it allowed: events in, violations out.

    policy file -> inheritance, variables
                -> policy, globs, endpoints -> policing ---\\
                                                            engine.RuleSet.judge(event) -> violations
    Sigma files -> detection, items, values -> nodes ------/ search: which rules an event may match
                -> correlation, windows (over several events), filters (exceptions), wired by `wiring`

Imported by `tracer.pipeline`, `tracer.session` and the commands. Imports only `tracer.events` and
`tracer.errors`; it reads files when rules are loaded and nothing afterwards, so a judgement depends on the
event and the rules alone.

`policy` says what a policy file may hold, `fields` which events and fields a Sigma rule can speak of.
`learn` goes the other way: from events to a policy, which `generalise` makes short.
`packs/` holds the detections that come with Rubicon, `profiles/` the policies to start from.
"""

from tracer.rules.engine import Entry, Meter, RuleSet, Source
from tracer.rules.header import Skipped
from tracer.rules.inheritance import profile_names, profile_path, read_policy
from tracer.rules.load import load_any, load_rules
from tracer.rules.variables import Given, of_this_machine, parse_assignment

__all__ = [
    "Entry",
    "Given",
    "Meter",
    "RuleSet",
    "Skipped",
    "Source",
    "load_any",
    "load_rules",
    "of_this_machine",
    "parse_assignment",
    "profile_names",
    "profile_path",
    "read_policy",
]
