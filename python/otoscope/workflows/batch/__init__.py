"""Workflows over manifests of many files: chunks, parts, engines, and what is merged at the end."""
