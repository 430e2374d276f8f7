"""Workflow of contents: which content should replace the segments of an explanation."""

from otoscope.workflows.contents.choose import (
    ContentsConfig,
    ContentsResult,
    choose_contents,
)

__all__ = ["ContentsConfig", "ContentsResult", "choose_contents"]
