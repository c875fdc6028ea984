"""An agent's own record of what it did, joined afterwards to a trace in which no step was told.

    trajectories   the files of agents -> calls
    commands       the text of a command -> the programs that it starts
    clocks         how far the agent's clock was from this machine's
    join           calls and programs that ran -> which process began which call, and how sure that is

What comes out are the same `step` records that a session writes when it is told its steps, so that a trace is
read the same way whoever found them. Stands above the pipeline; imported by `tracer.cli`.
"""
