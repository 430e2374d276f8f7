"""Workflow of interrogate: its config, its function, and the exchange with other systems."""
