"""Distances made readable: where one lies among the distances that a model gives in this very library.

A cosine distance of 0.3 is close under one model and far under another. Its percentile among the distances of images
drawn at random is comparable: 1 means that one pair in a hundred is as near. Arithmetic only; the distributions are
kept by lib.storage.measurements.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def percentile(distance: ArrayLike, quantiles: ArrayLike) -> NDArray[np.float64]:
    """Return how many percent of a distribution lie at or below a distance.

    Parameters
    ----------
    distance : array_like, any shape
        Low is near.
    quantiles : array_like, shape (Q,), Q > 1
        The distribution's quantiles at Q evenly spread steps from 0 to 100 percent, ascending. Between two of them the
        distribution counts as even.

    Returns
    -------
    ndarray of float64, of the shape of ``distance``
        In [0, 100]; of several steps with the same quantile the highest counts.

    Raises
    ------
    ValueError
        If the quantiles are fewer than two, not ascending or not finite.

    >>> float(percentile(0.25, [0.0, 0.5, 1.0]))
    25.0
    """
    steps = np.asarray(quantiles, dtype=np.float64)
    if steps.ndim != 1 or len(steps) < 2 or not np.isfinite(steps).all() or (np.diff(steps) < 0).any():
        raise ValueError("quantiles are at least two finite numbers in ascending order")
    asked = np.asarray(distance, dtype=np.float64)
    # From the last of equal quantiles to the first of the next ones, which numpy's interpolation does not know apart.
    reached = np.searchsorted(steps, asked, side="right")
    below, above = np.clip(reached - 1, 0, len(steps) - 2), np.clip(reached, 1, len(steps) - 1)
    gap = steps[above] - steps[below]
    between = np.divide(asked - steps[below], gap, out=np.zeros(asked.shape), where=gap > 0)
    found = 100 * (below + np.clip(between, 0, 1)) / (len(steps) - 1)
    return np.where(reached == 0, 0.0, np.where(reached == len(steps), 100.0, found))


def relevance(distance: ArrayLike, random_quantiles: ArrayLike) -> NDArray[np.float64]:
    """Return the share of random pairs that are farther apart, in [0, 1]; 1 is as relevant as can be.

    Parameters and errors are those of :func:`percentile`; the quantiles are of pairs drawn at random.

    >>> float(relevance(0.1, [0.2, 0.5, 1.0]))
    1.0
    """
    return 1 - percentile(distance, random_quantiles) / 100


def separation(near_quantiles: ArrayLike, random_quantiles: ArrayLike) -> float:
    """Return the chance that a near pair is nearer than a random one, in [0, 1]; 0.5 says that the model knows nothing.

    It is the area under the ROC curve, by the midpoints between the near pairs' quantiles.

    >>> separation([0.0, 0.1], [0.5, 1.0])
    1.0
    """
    near = np.asarray(near_quantiles, dtype=np.float64)
    middles = (near[:-1] + near[1:]) / 2
    return float(relevance(middles, random_quantiles).mean())
