"""CIEDE2000 over pairs: our single-precision filter against ``skimage.color.deltaE_ciede2000``, one thread each.

Both compare the same two lists of sRGB colours, alternately; scikit-image in double precision, as it comes, in one call
and in blocks that fit a processor's cache, whichever is faster. Claim: at least 30 times the pairs a second.
"""

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from bench.color_corpus import machine
from lib.color.difference import ciede2000
from lib.color.difference_filter import lowered, single_precision
from lib.color.spaces import lab_from_srgb

BLOCK = 16_384


def seconds(call: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start


def in_blocks(one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    """Compare by scikit-image, some rows at a time."""
    for start in range(0, len(one), BLOCK):
        deltaE_ciede2000(one[start : start + BLOCK], other[start : start + BLOCK])


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pairs, fewer rounds")
    quick = parser.parse_args().quick
    pairs, rounds = (100_000, 5) if quick else (1_000_000, 9)
    rng = np.random.default_rng(0)
    one, other = lab_from_srgb(rng.random((2, pairs, 3)))
    planes = [np.ascontiguousarray(lab.T, dtype=np.float32) for lab in (one, other)]
    excess = lowered(single_precision(*planes)) - ciede2000(planes[0].T, planes[1].T)
    times = [
        (
            seconds(lambda: deltaE_ciede2000(one, other)),
            seconds(lambda: in_blocks(one, other)),
            seconds(lambda: single_precision(*planes)),
        )
        for _ in range(rounds)
    ]
    at_once, blocks, ours = np.array(times).T
    peer = np.minimum(at_once, blocks)
    print(machine())
    print(f"scikit-image: {pairs / np.median(peer) / 1e6:.2f} million pairs/s (better of one call and blocks)")
    print(f"ours:         {pairs / np.median(ours) / 1e6:.1f} million pairs/s, one thread")
    print(f"ratio:        {np.median(peer / ours):.1f} (claim 30), of {rounds} pairs")
    print(f"the bound above the true difference: {excess.max():.2g} at most (claim 0)")


if __name__ == "__main__":
    main()
