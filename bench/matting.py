"""Background removal against ``rembg.remove`` on the same .onnx file.

Peer: ``rembg.remove`` with a session as rembg makes it, on the decoded photograph, picture after picture. Ours: the
masker that the stage runs, on the decoded working copy, and the mask as the PNG that is stored; the full-size cut-out
is made when somebody asks for it. Then what either does beside the network, which is replaced by a stored answer.
Then whether the masks are the same, on the pictures of the demo. Goals: 1.8x; ten times less beside the network at 12
megapixels; intersection over union of every mask at least 0.99.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.paired import compare, print_machine, quick
from bench.photographs import SIZES, write_photographs
from lib.arrays import Mask, RGBAImage
from lib.images.background import (
    SubjectMasker,
    encode_mask_png,
    has_own_alpha,
    mask_from_prediction,
    network_input,
    on_white,
)
from lib.images.decoding import Decoder
from lib.images.matting_network import rembg_session
from lib.images.working_copy import read_working_copy
from lib.models.registry import U2NETP, Preprocessing
from lib.models.weights import locate

GOAL, OVERHEAD_GOAL, IOU_GOAL = 1.8, 10.0, 0.99
DEMO_PICTURES = Path(__file__).parents[1] / "demo" / "pictures"


class StoredAnswer:
    """Stands where rembg's session has its network, and answers at once."""

    def __init__(self, network: Any, prediction: np.ndarray[Any, Any]) -> None:
        self.get_inputs: Callable[[], Any] = network.get_inputs
        self._prediction = prediction

    def run(self, _outputs: object, _inputs: object) -> list[np.ndarray[Any, Any]]:
        """Return the stored prediction."""
        return [self._prediction]


def by_rembg(session: Any, pictures: list[Image.Image]) -> None:
    """Cut out picture after picture."""
    from rembg import remove

    for picture in pictures:
        remove(picture, session=session)


def by_masker(masker: SubjectMasker, copies: list[RGBAImage]) -> None:
    """Mask a batch."""
    for mask in masker.masks(copies):
        encode_mask_png(mask)


def beside_the_network(copies: list[RGBAImage], prediction: np.ndarray[Any, Any]) -> None:
    """Do all that `by_masker` does but the network."""
    for copy in copies:
        network_input(copy, _preparation())
        encode_mask_png(mask_from_prediction(prediction[0, 0]))


def compare_size(size: str, onnx: Path, *, count: int, rounds: int) -> None:
    """Print the ratios, with and without the network, at one size of picture."""
    masker, session = SubjectMasker(U2NETP, {onnx.name: onnx}), rembg_session(U2NETP.name, onnx)
    with tempfile.TemporaryDirectory() as folder, Decoder() as decoder:
        paths = write_photographs(Path(folder), size, count)
        copies = [read_working_copy(decoder.decode(path).working_copy) for path in paths]
        pictures = [Image.open(path).convert("RGB") for path in paths]
    compare(
        f"matting, {size}",
        lambda: by_rembg(session, pictures),
        lambda: by_masker(masker, copies),
        items=count,
        rounds=rounds,
    ).report(GOAL)
    inputs = {session.inner_session.get_inputs()[0].name: network_input(copies[0], _preparation())}
    prediction = session.inner_session.run(None, inputs)[0]
    session.inner_session = StoredAnswer(session.inner_session, prediction)
    compare(
        f"matting but the network, {size}",
        lambda: by_rembg(session, pictures),
        lambda: beside_the_network(copies, prediction),
        items=count,
        rounds=3 * rounds,  # short
    ).report(OVERHEAD_GOAL if size == "12 MP" else None)


def agreement(onnx: Path, *, limit: int) -> list[float]:
    """Return the intersection over union of rembg's mask and ours for each opaque picture of the demo."""
    from rembg import remove

    masker, session = SubjectMasker(U2NETP, {onnx.name: onnx}), rembg_session(U2NETP.name, onnx)
    scores = []
    for path in sorted(DEMO_PICTURES.iterdir()):
        if path.suffix in (".jpg", ".png", ".webp", ".avif", ".gif") and len(scores) < limit:
            picture = np.asarray(Image.open(path).convert("RGBA"))
            if not has_own_alpha(picture):
                theirs = remove(Image.fromarray(on_white(picture)), session=session, only_mask=True)
                scores.append(_iou(masker.masks([picture])[0], np.asarray(theirs)))
    return scores


def _preparation() -> Preprocessing:
    if U2NETP.preprocessing is None:
        raise ValueError("a matting model prepares its pictures")
    return U2NETP.preprocessing


def _iou(ours: Mask, theirs: Mask) -> float:
    size = (theirs.shape[1], theirs.shape[0])
    enlarged = np.asarray(Image.fromarray(ours).resize(size, Image.Resampling.LANCZOS)) >= 128
    subject = theirs >= 128
    union = (enlarged | subject).sum()
    return float((enlarged & subject).sum() / union) if union else 1.0


def main() -> None:
    """Print all three."""
    short = quick()
    (onnx,) = locate(U2NETP, Path("nowhere")).values()
    print_machine()
    for size in SIZES:
        compare_size(size, onnx, count=4, rounds=2 if short else 5)
    scores = agreement(onnx, limit=6 if short else 200)
    verdict = "met" if min(scores) >= IOU_GOAL else "MISSED"
    print(f"masks of {len(scores)} demo pictures: IoU with rembg's at least {min(scores):.4f}   goal 0.99: {verdict}")


if __name__ == "__main__":
    main()
