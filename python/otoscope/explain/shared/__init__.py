"""All coalitions of a model for the work of a few forward passes, exactly.

A network's early values depend on few segments each, so among all coalitions they take few
different values: each is computed once. `SharedForward` does so for any traced network; `Evaluator`
decides when. Explained in docs/howto/shared.md.
"""

from otoscope.explain.shared._trace import NotTraced
from otoscope.explain.shared.forward import SharedForward

__all__ = ["NotTraced", "SharedForward"]
