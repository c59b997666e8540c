"""The main job as one writes it first: each step with the best known library, in the way its first page shows.

``urlopen`` in threads; Pillow opens the file once for each consumer; ``rembg.remove`` from bytes to bytes, which are
kept; torch in float32, one picture after the other; one INSERT a row.
"""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import imagehash
import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from PIL import Image

from lib.color.harmony import hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette

TABLES = """
CREATE TABLE IF NOT EXISTS naive_hashes (name text PRIMARY KEY, phash text, width int, height int);
CREATE TABLE IF NOT EXISTS naive_colors (name text PRIMARY KEY, palette real[], layout bytea, hues real[]);
CREATE TABLE IF NOT EXISTS naive_vectors (name text, model text, vector halfvec(512), PRIMARY KEY (name, model));
TRUNCATE naive_hashes, naive_colors, naive_vectors
"""


@dataclass
class NaivePipeline:
    """The steps, over the pictures at ``urls``; ``session`` is rembg's, the networks are torch's."""

    urls: list[str]
    folder: Path
    connection: psycopg.Connection[Any]
    session: Any
    resnet: Any
    clip: Any

    def steps(self) -> list[tuple[str, Callable[[], object]]]:
        """Return the steps by name, in order."""
        return [
            ("download", self.download),
            ("decode and hash", self.hashes),
            ("matting", self.cutouts),
            ("colours", self.colors),
            ("resnet", lambda: self.vectors("resnet", self.resnet, _resnet_transform())),
            ("clip", lambda: self.vectors("clip", self.clip.encode_image, _clip_transform())),
        ]

    def clear(self) -> None:
        """Forget the last round."""
        register_vector(self.connection)
        self.connection.execute(TABLES)
        self.connection.commit()
        for path in self.folder.iterdir():
            path.unlink()

    @property
    def pictures(self) -> list[Path]:
        """The downloaded files."""
        return sorted(self.folder.glob("*.jpg"))

    def download(self) -> None:
        """Fetch every picture."""

        def fetch(url: str) -> None:
            with urlopen(url) as reply:  # noqa: S310  our own server
                (self.folder / url.rsplit("/", 1)[1]).write_bytes(reply.read())

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(fetch, self.urls))

    def hashes(self) -> None:
        """Store size and perceptual hash."""
        for path in self.pictures:
            with Image.open(path) as image:
                row = (path.name, str(imagehash.phash(image)), *image.size)
            self._insert("INSERT INTO naive_hashes VALUES (%s, %s, %s, %s)", row)

    def cutouts(self) -> None:
        """Cut out every subject, as a PNG."""
        from rembg import remove

        for path in self.pictures:
            path.with_suffix(".png").write_bytes(remove(path.read_bytes(), session=self.session))

    def colors(self) -> None:
        """Describe the colours of every cut-out."""
        for path in self.pictures:
            with Image.open(io.BytesIO(path.with_suffix(".png").read_bytes())) as image:
                rgba = np.asarray(image.convert("RGBA"))
            row = (
                path.name,
                palette(rgba).lab.ravel().tolist(),
                color_layout(rgba).tobytes(),
                hue_histogram(rgba).tolist(),
            )
            self._insert("INSERT INTO naive_colors VALUES (%s, %s, %s, %s)", row)

    def vectors(self, model: str, network: Callable[[Any], Any], transform: Callable[[Image.Image], Any]) -> None:
        """Encode every picture."""
        import torch

        for path in self.pictures:
            with Image.open(path) as image, torch.inference_mode():
                row = network(transform(image.convert("RGB"))[None])[0]
                vector = HalfVector(torch.nn.functional.normalize(row, dim=0).numpy())
            self._insert("INSERT INTO naive_vectors VALUES (%s, %s, %s)", (path.name, model, vector))

    def _insert(self, statement: str, row: tuple[Any, ...]) -> None:
        self.connection.execute(statement, row)  # type: ignore[call-overload]  literals, all of them
        self.connection.commit()


def _resnet_transform() -> Any:
    from torchvision.models import ResNet34_Weights

    return ResNet34_Weights.IMAGENET1K_V1.transforms()


def _clip_transform() -> Any:
    import open_clip

    cfg = open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")
    options = {"mean": cfg["mean"], "std": cfg["std"], "interpolation": cfg["interpolation"]}
    return open_clip.image_transform(224, is_train=False, **options)
