"""What the layers compute from one image."""

from pathlib import Path

import numpy as np

from jaxconv.train.report.figures import png_url
from jaxconv.train.report.held import Held
from jaxconv.train.report.markup import text
from jaxconv.train.trained import TrainedNetwork


def layers(network: TrainedNetwork, held: Held, folder: Path) -> str:
    """Return the filters and feature maps of the first held-out image, and what it is taken for."""
    found = int(np.argmax(held.probabilities[0]))
    said = (
        f"<p>The first held-out image is {text(network.classes[held.labels[0]])}, and is taken for"
        f" {text(network.classes[found])} ({held.probabilities[0, found]:.1%}).</p>"
    )
    path = folder / "layers.png"
    if not path.exists():
        return said
    url = png_url(path.read_bytes())
    image = f'<img class="plot" alt="filters and feature maps" src="{url}">'
    return f'{said}<div class="wide">{image}</div>'
