"""Whether YNNPACK, XLA's library for convolutions on CPUs, is slow in the installed JAX."""

import jax

# In these versions it is slow for all convolutions. In the others that were measured (0.10.0,
# 0.10.1, 0.11.0 to 0.12.0) it is slow only for large kernels, which kernel gradients have. y of 3×3
# 64→64, 64×32×32, takes 37 ms in the library and 21 ms in XLA's own code.
SLOW_LIBRARY = (0, 10, 2) <= jax.__version_info__ < (0, 11)
