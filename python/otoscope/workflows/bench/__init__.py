"""Measure this machine: the operators, and explanations against plain passes."""

from __future__ import annotations

from otoscope.workflows.bench.bench import BenchConfig, BenchResult, BenchRow, run_bench

__all__ = ["BenchConfig", "BenchResult", "BenchRow", "run_bench"]
