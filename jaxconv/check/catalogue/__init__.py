"""The catalogue: one record for every op.

    CATALOGUE["conv"].sample(3)     the fourth sample call of conv

The modules here mirror the folders of the ops. A test fails if an op has no record.
"""

from jaxconv.check.catalogue import (
    activation,
    conv,
    dense,
    dropout,
    loss,
    normalization,
    padding,
    pooling,
    resampling,
)
from jaxconv.check.catalogue.record import NUDGE, Pinned, Record, Refusal, Sample

__all__ = ["CATALOGUE", "NUDGE", "Pinned", "Record", "Refusal", "Sample"]

CATALOGUE: dict[str, Record] = {
    record.name: record
    for family in (
        conv,
        dense,
        activation,
        pooling,
        padding,
        normalization,
        resampling,
        dropout,
        loss,
    )
    for record in family.RECORDS
}
