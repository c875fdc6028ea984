"""Kernel records -> events: who did it, from which program, to what, under which name.

    capture -> Record -> [Context] -> Event -> rules

A record names a process by number and a file by directory and name, because that is what the kernel can say
cheaply. `Context` keeps what must be remembered to turn that into a fact a person can read, each part of it
within a bound. What the kernel does not tell (users, domains, processes that were there before) comes as
context records out of the trace, so a replay elsewhere needs nothing of the machine.

    enrich   `Context`: one record -> one event
    tree     `ProcessTree`: which program image a process had, and when
    scopes   which target and which container a scope is
    images   a `Process` from a record, from a line of /proc, from nothing
    peers    connect: addresses, transport, domain
    names    which domain an address was resolved from
    paths    directory and name -> path
    links    where a name leads that goes through a symbolic link made under watch
    cuts     which field a record says was cut
    fields   a context record's fields, checked
    recent   the memory with a bound that all of them use

Imported by `tracer.pipeline`. Imports `tracer.events`, `errors` and `records`; reads no file and no clock.
"""

from tracer.context.enrich import Context

__all__ = ["Context"]
