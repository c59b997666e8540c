"""A search server as one writes it first, on the same rows and the same weights as ours.

``--kind pool``: a plain route, so FastAPI gives each request a thread, which decodes with Pillow and runs the network
for its one picture. ``--kind inline``: an ``async`` route that does it all in the event loop. Both run the network by
our encoder, with the threads and the layout in memory that we found best; ``--kind plain`` is a pool that runs it as
PyTorch does unasked.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, File, UploadFile
from PIL import Image

from lib.arrays import FloatArray, RGBAImage
from lib.embedding.checkpoint import load_state_dict
from lib.embedding.encoder import unit_rows
from lib.embedding.loading import load_image_encoder
from lib.embedding.packaged import orthogonal_map
from lib.embedding.preprocessing import model_input
from lib.models.registry import LITE2_PREPROCESSING, LITE2_WEIGHTS, ModelSpec, model_spec
from lib.models.weights import locate
from lib.storage.database import Database
from lib.storage.neighbors import nearest

K = 24


def create_app(home: Path, url: str, kind: str) -> FastAPI:
    """Return the server."""
    spec = model_spec("resnet", "packaged")
    vector_of, database, app = encoding(spec, home, kind), Database(url), FastAPI()

    def found(data: bytes) -> list[dict[str, Any]]:
        rgba = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        vector = vector_of(rgba)
        with database.session() as session:
            neighbors = nearest(session, "resnet", vector, spec_id=spec.spec_id, k=K, exact=True)
        return [{"image_id": neighbor.image_id, "distance": neighbor.distance} for neighbor in neighbors]

    if kind != "inline":

        @app.post("/search")
        def pooled(image: Annotated[UploadFile, File()]) -> list[dict[str, Any]]:
            return found(image.file.read())

    else:

        @app.post("/search")
        async def inline(image: Annotated[UploadFile, File()]) -> list[dict[str, Any]]:
            return found(await image.read())

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    return app


def encoding(spec: ModelSpec, home: Path, kind: str) -> Callable[[RGBAImage], FloatArray]:
    """Return what turns a picture into its vector."""
    if kind != "plain":
        encoder = load_image_encoder(spec, home, "cpu")
        return lambda rgba: encoder.encode_images([rgba])[0]
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite2").eval()
    load_state_dict(network, locate(spec, home)[LITE2_WEIGHTS.name])
    parameters = spec.parameters
    projection = orthogonal_map(parameters["features"], spec.dimension or 0, parameters["projection_seed"])

    def vector_of(rgba: RGBAImage) -> FloatArray:
        with torch.inference_mode():
            features = network.extract_features(torch.from_numpy(model_input([rgba], LITE2_PREPROCESSING)))
        return unit_rows(features.mean((2, 3)).numpy() @ projection)[0]

    return vector_of


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=("pool", "plain", "inline"), required=True)
    wanted = parser.parse_args()
    uvicorn.run(create_app(wanted.home, wanted.url, wanted.kind), port=wanted.port, log_level="error")


if __name__ == "__main__":
    main()
