"""Records of the losses."""

from jaxconv.check.catalogue.loss import binary, classes, regression

RECORDS = (*classes.RECORDS, *binary.RECORDS, *regression.RECORDS)
