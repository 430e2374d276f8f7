"""All coalitions of a model for the work of a few forward passes, exactly.

The early values of a network depend on few segments each, so among all coalitions they take few
different values, and each is computed once. `SharedForward` does so for any traced network;
`Evaluator` decides when. docs/explanation/shared.md explains the use; read `_layout` (with a worked
example of 4 coalitions and 6 frames), `_factored` and `forward` in this order for the method.
"""

from otoscope.explain.shared._recorder import settings_of_torch
from otoscope.explain.shared._trace import TRACING, NotTraced
from otoscope.explain.shared.forward import SharedForward

__all__ = ["TRACING", "NotTraced", "SharedForward", "settings_of_torch"]
