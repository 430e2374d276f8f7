"""Workflow of concepts: their sounds, and what layers and outputs do with them."""

from otoscope.workflows.concepts.analysis import (
    ConceptsResult,
    find_concepts,
    save_concepts_page,
)
from otoscope.workflows.concepts.config import ConceptsConfig

__all__ = ["ConceptsConfig", "ConceptsResult", "find_concepts", "save_concepts_page"]
