"""Activations: functions after a linear layer, differentiated from their output or input."""

from jaxconv.activation import exponential, gated, hard, rectifiers, shrinking, sigmoidal
from jaxconv.activation.exponential import *
from jaxconv.activation.gated import *
from jaxconv.activation.hard import *
from jaxconv.activation.rectifiers import *
from jaxconv.activation.shrinking import *
from jaxconv.activation.sigmoidal import *
from jaxconv.activation.softmax import log_softmax, softmax

__all__ = ["log_softmax", "softmax"]
__all__ += exponential.__all__
__all__ += gated.__all__
__all__ += hard.__all__
__all__ += rectifiers.__all__
__all__ += shrinking.__all__
__all__ += sigmoidal.__all__
