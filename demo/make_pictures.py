"""Make the demo's pictures from the corpus: ``python -m demo.make_pictures /path/to/corpus [TARGET]``.

The corpus is the folder with ``manifest.jsonl`` and ``images/`` (subjects with true alpha from Tux Paint Stamps).
The target, ``demo/pictures`` unless told otherwise, gets the pictures and a ``manifest.jsonl`` that says of each what
it shows and how it was made. Nothing here is random: names seed every choice.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from demo.making import encoding, grounds
from demo.making.recipes import MAX_ENLARGEMENT, SUBJECTS, Recipe, recipes

PICTURES = Path(__file__).parent / "pictures"
ANIMATION_STEPS = (0.0, 0.04, 0.08, 0.04)  # how far the subject has moved, as a share of the width
SHADOW_STRENGTH = 0.38


def make_all(corpus: Path, target: Path) -> list[dict[str, Any]]:
    """Write every picture and the manifest into ``target``; return the manifest's entries."""
    captions = {Path(entry["file"]).stem: entry for entry in read_jsonl(corpus / "manifest.jsonl")}
    subjects = {name: _trimmed(Image.open(corpus / "images" / f"{name}.png")) for name in SUBJECTS}
    colors = {name: mean_color(subject) for name, subject in subjects.items()}
    entries = [
        make_one(recipe, subjects[recipe.subject], captions[recipe.subject], target) for recipe in recipes(colors)
    ]
    lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries]
    (target / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
    return entries


def make_one(recipe: Recipe, subject: Image.Image, caption: dict[str, Any], target: Path) -> dict[str, Any]:
    """Write one picture into ``target`` and return its manifest entry."""
    scene = Scene(recipe, subject)
    data = scene.encoded()
    path = target / (recipe.name + encoding.SUFFIXES[recipe.file_format])
    path.write_bytes(data)
    return {
        "file": path.name,
        "subject": f"{recipe.subject}.png",
        "caption": caption["caption"],
        "caption_ru": caption["caption_ru"],
        "category": caption["category"],
        "format": recipe.file_format,
        "special": recipe.special,
        "orientation": recipe.orientation,
        "width": scene.size[0],
        "height": scene.size[1],
        "frames": len(ANIMATION_STEPS) if recipe.special == "animated" else 1,
        "ground": recipe.ground,
        "texture": recipe.texture,
        "ground_colors": scene.ground_colors(),
        "subject_color": grounds.hex_of(mean_color(subject)),
        "subject_box": list(scene.box),
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


class Scene:
    """A subject standing on its ground; sizes and the box are in pixels as viewed."""

    def __init__(self, recipe: Recipe, subject: Image.Image) -> None:
        self.recipe = recipe
        self._subject = subject.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if recipe.mirror else subject
        self.size, subject_size = _sizes(recipe, subject.size)
        self._subject = self._subject.resize(subject_size, Image.Resampling.LANCZOS)
        self._rng = recipe.generator()
        left, top = ((free * share).astype(int) for free, share in zip(*self._freedom(subject_size), strict=True))
        self.box = (int(left), int(top), int(left) + subject_size[0], int(top) + subject_size[1])
        self._ground = self._make_ground()

    def encoded(self) -> bytes:
        """The picture as the bytes of its file."""
        recipe = self.recipe
        if recipe.special == "sixteen_bit":
            return encoding.encode_sixteen_bit_png(self._composed())
        if recipe.special == "animated":
            frames = [self._image(round(step * self.size[0])).convert("RGB") for step in ANIMATION_STEPS]
            return encoding.encode_animation(frames)
        if recipe.special == "cmyk":
            return encoding.encode_cmyk_jpeg(self._image())
        if recipe.special == "palette":
            return encoding.encode_palette_png(self._image())
        return encoding.encode(self._image(), recipe.file_format, orientation=recipe.orientation)

    def ground_colors(self) -> list[str]:
        """Hex colours of the ground: as asked for, or the mean of a texture."""
        if self.recipe.ground == "texture":
            return [grounds.hex_of(self._ground.mean(axis=(0, 1)))]
        return list(self.recipe.colors)

    def _freedom(self, subject_size: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Pixels that the subject could move across and down, and the share of them that it does."""
        return np.subtract(self.size, subject_size), self._rng.uniform(0.3, 0.7, 2)

    def _make_ground(self) -> grounds.Ground:
        width, height = self.size
        if self.recipe.ground == "texture":
            return grounds.TEXTURES[self.recipe.texture](self._rng, height, width)
        if self.recipe.ground == "gradient":
            start, end = self.recipe.colors
            return grounds.gradient(height, width, (start, end), float(self._rng.choice([45, 90, 135])))
        return grounds.plain(height, width, (*self.recipe.colors, "#ffffff")[0])

    def _layer(self, shift_px: int = 0) -> Image.Image:
        """The subject alone on a transparent canvas."""
        canvas = Image.new("RGBA", self.size, (0, 0, 0, 0))
        canvas.paste(self._subject, (self.box[0] + shift_px, self.box[1]))
        return canvas

    def _composed(self, shift_px: int = 0) -> NDArray[np.float64]:
        layer = self._layer(shift_px)
        pixels = np.asarray(layer, dtype=np.float64) / 255
        alpha = pixels[..., 3:]
        return np.asarray(pixels[..., :3] * alpha + self._ground * self._shade(layer) * (1 - alpha))

    def _shade(self, layer: Image.Image) -> NDArray[np.float64]:
        """Return what a soft shadow leaves of the ground's light; plain grounds stay exactly their colour."""
        if self.recipe.ground != "texture":
            return np.ones((1, 1, 1))
        reach_px = max(self.size) // 50
        shadow = layer.getchannel("A").transform(
            self.size, Image.Transform.AFFINE, (1, 0, -reach_px // 2, 0, 1, -reach_px)
        )
        blurred = np.asarray(shadow.filter(ImageFilter.GaussianBlur(reach_px)), dtype=np.float64) / 255
        return np.asarray(1 - SHADOW_STRENGTH * blurred[..., None])

    def _image(self, shift_px: int = 0) -> Image.Image:
        if self.recipe.ground == "transparent":
            return self._layer(shift_px)
        return Image.fromarray(np.round(self._composed(shift_px) * 255).astype(np.uint8))


def mean_color(subject: Image.Image) -> NDArray[np.float64]:
    """Return a subject's mean sRGB in [0, 1], weighted by its alpha."""
    pixels = np.asarray(subject, dtype=np.float64).reshape(-1, 4) / 255
    return np.asarray(np.average(pixels[:, :3], axis=0, weights=pixels[:, 3]))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _trimmed(subject: Image.Image) -> Image.Image:
    rgba = subject.convert("RGBA")
    return rgba.crop(rgba.getchannel("A").getbbox())


def _sizes(recipe: Recipe, subject_size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return canvas and subject sizes: as large as the recipe allows without enlarging the subject to a blur."""
    canvas = np.array([recipe.aspect, 1.0]) / max(recipe.aspect, 1.0) * recipe.max_long_side_px
    scale = float(np.min(canvas * recipe.fill / subject_size))
    enlargement_limit = MAX_ENLARGEMENT if recipe.max_long_side_px < 1000 else 4.0
    shrink = min(1.0, enlargement_limit / scale)
    width, height = np.round(canvas * shrink).astype(int)
    across, down = np.maximum(1, np.round(np.multiply(subject_size, scale * shrink))).astype(int)
    return (int(width), int(height)), (int(across), int(down))


def main() -> None:
    """Read the command line and make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=PICTURES)
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    entries = make_all(arguments.corpus, arguments.target)
    print(
        f"{len(entries)} pictures, {sum(entry['size_bytes'] for entry in entries) / 1e6:.1f} MB, in {arguments.target}"
    )


if __name__ == "__main__":
    main()
