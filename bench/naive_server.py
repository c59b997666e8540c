"""A search server as one writes it first, on the same encoder and the same rows as ours.

``--kind pool``: a plain route, so FastAPI gives each request a thread, which decodes with Pillow and runs the network
for its one picture. ``--kind inline``: an ``async`` route that does it all in the event loop.
"""

import argparse
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, File, UploadFile
from PIL import Image

from lib.embedding.loading import load_image_encoder
from lib.models.registry import model_spec
from lib.storage.database import Database
from lib.storage.neighbors import nearest

K = 24


def create_app(home: Path, url: str, kind: str) -> FastAPI:
    """Return the server."""
    spec = model_spec("resnet", "packaged")
    encoder, database, app = load_image_encoder(spec, home, "cpu"), Database(url), FastAPI()

    def found(data: bytes) -> list[dict[str, Any]]:
        rgba = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        vector = encoder.encode_images([rgba])[0]
        with database.session() as session:
            neighbors = nearest(session, "resnet", vector, spec_id=spec.spec_id, k=K, exact=True)
        return [{"image_id": neighbor.image_id, "distance": neighbor.distance} for neighbor in neighbors]

    if kind == "pool":

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


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=("pool", "inline"), required=True)
    wanted = parser.parse_args()
    uvicorn.run(create_app(wanted.home, wanted.url, wanted.kind), port=wanted.port, log_level="error")


if __name__ == "__main__":
    main()
