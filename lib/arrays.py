"""Names for the array layouts that travel between modules."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
RGBAImage: TypeAlias = NDArray[np.uint8]  # (H, W, 4), sRGB, straight alpha, 255 = opaque
RGBImage: TypeAlias = NDArray[np.uint8]  # (H, W, 3), sRGB
Mask: TypeAlias = NDArray[np.uint8]  # (H, W), 255 = subject
Embeddings: TypeAlias = NDArray[np.float32]  # (N, D), rows of unit L2 norm
