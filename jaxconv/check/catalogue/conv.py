"""Records of the convolutions."""

from jaxconv.check.catalogue.geometries import ConvCase, conv_case, transposed_case
from jaxconv.check.catalogue.record import Record, Sample
from jaxconv.check.catalogue.sampling import normal


def _call(case: ConvCase, seed: int) -> Sample:
    arrays = {"x": normal(seed, case.x), "w": normal(seed + 1, case.w)}
    if case.b is not None:
        arrays["b"] = normal(seed + 2, case.b)
    options = {**case.keywords, "precision": "highest"} if seed % 5 == 3 else case.keywords
    return Sample(arrays, options=options)


def _large_conv() -> Sample:
    arrays = {
        "x": normal(0, (8, 17, 16, 24)),
        "w": normal(1, (5, 3, 6, 32)),
        "b": normal(2, (32,)),
    }
    return Sample(arrays, options={"stride": 2, "groups": 4, "dilation": (1, 2)})


def _large_transposed() -> Sample:
    arrays = {
        "x": normal(0, (8, 17, 16, 16)),
        "w": normal(1, (3, 3, 32, 16)),
        "b": normal(2, (32,)),
    }
    return Sample(arrays, options={"stride": 2})


RECORDS = (
    Record(
        name="conv",
        sample=lambda seed: _call(conv_case(seed), seed),
        large=_large_conv,
        transformed=(0, 4, 5, 7),  # 1-D to 3-D, both layouts, borders that copy
    ),
    Record(
        name="conv_transpose",
        sample=lambda seed: _call(transposed_case(seed), seed),
        large=_large_transposed,
        transformed=(2, 3),
    ),
)
