"""What to do about a violation: end who did it, hold the sandbox still, or refuse the act.

    tasks   a signal to the very process that is meant, never to one that got its number since
    scope   who is watched, as these see it
    kill    a process, or a whole scope
    freeze  a scope stands still until it is thawed; what stands still is kept in a file, for after a crash

One file an action. Nothing here knows of rules, events or traces: `tracer.session` says whom, and tells what
came of it. Imported by `tracer.session` and `tracer.cli`; imports only `tracer.errors` and `tracer.text`.
"""
