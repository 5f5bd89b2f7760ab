"""Every element of an output or a gradient as a written-out sum, as text, LaTeX or a picture.

`python -m jaxconv.explain --help` is the command line.
"""

from jaxconv.explain.correlation import Correlation, as_convolution
from jaxconv.explain.page import page
from jaxconv.explain.sums import Sum
from jaxconv.explain.svg import svg
from jaxconv.explain.written import all_terms, terms

__all__ = ["Correlation", "Sum", "all_terms", "as_convolution", "page", "svg", "terms"]
