"""Was it allowed: events in, violations out.

    policy file -> policy, globs, endpoints -> policing ---\\
                                                            engine.RuleSet.judge(event) -> violations
    Sigma files -> detection, items, values -> nodes ------/
                -> correlation, windows (over several events), filters (exceptions), wired by `wiring`

Imported by `tracer.pipeline`, `tracer.session` and the commands. Imports only `tracer.events` and
`tracer.errors`; it reads files when rules are loaded and nothing afterwards, so a judgement depends on the
event and the rules alone.

`policy` says what a policy file may hold, `fields` which events and fields a Sigma rule can speak of.
`packs/` holds the detections that come with Rubicon.
"""

from tracer.rules.engine import Entry, Meter, RuleSet, Source
from tracer.rules.header import Skipped
from tracer.rules.load import is_policy, load_rules

__all__ = ["Entry", "Meter", "RuleSet", "Skipped", "Source", "is_policy", "load_rules"]
