"""Which events: the small language of the screen's filter line and of `rubicon export --where`.

    exe:curl and dest.port:443 not path:/tmp/*
    level>=high or (action:connect dest.ip:10.0.0.0/8)

A **term** is a field, an operator and a value:

    field:value     equal; `*` stands for anything, several values are divided by commas, one is enough
    field~value     the value is a part of it
    field!=value    not equal
    field>value     and `>=`, `<`, `<=`: numbers, sizes and levels
    field:a..b      from a to b, numbers
    field:*         the event has such a field

Capital letters or small ones are the same. A path without a slash is compared with the last part alone, so
that `exe:curl` is any curl; numbers may end in K, M, G (1024 each); an address may be a network
(10.0.0.0/8). A value with blanks, brackets or commas is put between double quotes; a backslash there takes
the next character as it is.

A **word** without a field is looked for in everything the event says.

Terms stand side by side or are joined by `and`; `or` binds less; `not`, `!` or `-` before a term or a bracket
turns it round. `rule`, `level` and `technique` ask for what an event broke.

The fields are those of `rubicon export`, with short names for the common ones: see `fields.FIELDS`.

    parse   text -> a tree; every mistake with its place
    fields  what may be asked of an event
    match   the tree -> a predicate

Imported by `tracer.cli.export` and the TUI. Imports `tracer.events`, `errors` and `reach`.
"""

from tracer.where.fields import FIELDS, Field, field_named
from tracer.where.match import Where
from tracer.where.parse import WhereError, quoted

__all__ = ["FIELDS", "Field", "Where", "WhereError", "field_named", "quoted"]
