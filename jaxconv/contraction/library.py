"""The library that XLA's CPU backend hands convolutions to (YNNPACK), in this version of JAX."""

import jax

# In this version it is slow for all convolutions; in others (0.10.0, 0.10.1, 0.11.0 to 0.12.0 were
# measured) only for large kernels, which kernel gradients have. 3×3 64→64, 64×32×32, y takes 37 ms
# in the library and 21 ms in the code that XLA has of its own.
SLOW_LIBRARY = (0, 10, 2) <= jax.__version_info__ < (0, 11)
