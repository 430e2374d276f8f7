"""Concept activation vectors of any layer, with statistics (Kim et al., 2018).

Which concepts does a layer hold, and do the outputs depend on them?
"""

from otoscope.explain.concepts.tcav import (
    ConceptInLayer,
    ConceptOnOutput,
    LayerConcepts,
    analyse_layer,
    layer_gradients,
    sign_agreement,
)
from otoscope.explain.concepts.vectors import (
    ConceptRows,
    Split,
    concept_vectors,
    group_splits,
    random_vectors,
)

__all__ = [
    "ConceptInLayer",
    "ConceptOnOutput",
    "ConceptRows",
    "LayerConcepts",
    "Split",
    "analyse_layer",
    "concept_vectors",
    "group_splits",
    "layer_gradients",
    "random_vectors",
    "sign_agreement",
]
