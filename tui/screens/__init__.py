"""Layouts and keys. Imports widgets; imported by `tui.app`."""
