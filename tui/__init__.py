"""The terminal screen: follows a trace file and shows what happens while it happens.

    trace file -> feed (a thread) -> model -> Snapshot (frozen) -> widgets
                                                    10 times a second

- `feed` reads and decodes, in a thread of its own; it needs no privilege, and may be slow.
- `model` aggregates, in bounded memory, and hands out frozen snapshots.
- `indexed` has a finished trace out of its index, and the events around any moment of it.
- `describe` and `details` put events, processes and violations into words; `cells` makes words safe and
  fits them into columns.
- `widgets` draw snapshots, one widget a file, and do no I/O; `screens` hold the layout and the keys.

Imports `tracer.trace`, `tracer.pipeline` and the model below them; imported by nobody but the one place in
`tracer.cli` that starts it: `tui.app.watch(trace)` and `tui.picture.save_picture(trace, svg)`.

All traced text reaches a widget through `tracer.text.printable`, as text with a style and never as markup.
"""
