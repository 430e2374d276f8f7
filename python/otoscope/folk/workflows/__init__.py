"""Workflows of `otoscope folk`: one module per command, from settings to records and pages."""
