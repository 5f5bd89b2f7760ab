"""All networks that `by_hand` is tried on: each file of a library puts its own into `ZOO`."""

from transform import (  # noqa: F401
    equinox_networks,
    haiku_networks,
    linen_networks,
    nnx_networks,
    plain_networks,
)
from transform.network import ZOO as ZOO
from transform.network import drawn as drawn
from transform.network import floats as floats
from transform.network import network as network
