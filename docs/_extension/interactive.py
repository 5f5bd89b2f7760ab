"""The pages of `jaxconv.explain`, one for each preset, in the folder `interactive` of the site."""

from typing import Any

from jaxconv.explain import page, terms

PRESETS: dict[str, dict[str, Any]] = {
    "smallest": {
        "op": "conv", "input": 3, "kernel": 2, "padding": 0,
        "of": "dX[1,2]", "names": "X,W,Z", "one_based": True,
    },
    "padded": {"op": "conv", "input": 5, "kernel": 3, "padding": 1, "of": "dx[0,0]"},
    "strided": {"op": "conv", "input": 7, "kernel": 3, "stride": 2, "padding": 1, "of": "dx[2,3]"},
    "dilated": {
        "op": "conv", "input": 7, "kernel": 3, "dilation": 2, "padding": 2, "of": "dw[0,1]",
    },
    "transposed": {"op": "conv_transpose", "input": 3, "kernel": 3, "stride": 2, "of": "dx[1,1]"},
    "pooled": {"op": "max_pool", "input": 4, "window": 2, "of": "dx[1,2]"},
}  # fmt: skip


def pages() -> dict[str, str]:
    """Return the name and the text of each page."""
    made = {}
    for name, preset in PRESETS.items():
        settings = dict(preset)
        for size in ("input", "kernel", "window"):
            if size in settings:
                settings[size] = (settings[size],) * 2
        made[name] = page(terms(settings.pop("op"), **settings))
    return made
