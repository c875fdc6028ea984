"""One widget a file. They draw parts of a `Snapshot`; imported by `tui.screens`."""
