"""The main job as Vitrine does it, in steps that can be timed: the very parts that the assets are made of."""

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lib.embedding.loading import load_image_encoder
from lib.images.background import SubjectMasker
from lib.images.decoding import Decoder
from lib.models.registry import CLIP_LAION2B, LAB_PALETTE, RESNET34, U2NETP, ModelSpec
from lib.scraping.addresses import AddressGuard
from lib.scraping.download import Fetcher
from lib.scraping.pace import Pace
from lib.storage import images, ledger, models
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from orchestration.assets.color_features import COLORS
from orchestration.assets.cutouts import CUTOUTS, CutoutWorker
from orchestration.assets.embeddings import CLIP, RESNET, EmbeddingWorker
from orchestration.partitions import BUCKET_COUNT
from orchestration.stage import Stage, run_stage

MAX_BYTES = 50_000_000
RUN_ID = "bench"


@dataclass
class OurPipeline:
    """The steps, over the pictures at ``urls``, with seeded encoders; ``home`` gets a fresh store every round."""

    urls: list[str]
    home: Path
    library: Library
    decoder: Decoder
    masker: SubjectMasker
    resnet: ModelSpec
    clip: ModelSpec
    rounds: int = 0
    names: list[str] = field(default_factory=list)

    def steps(self) -> list[tuple[str, Callable[[], object]]]:
        """Return the steps by name, in order."""
        return [
            ("download", lambda: asyncio.run(self.download())),
            ("decode and hash", self.decode),
            ("matting", lambda: self.derive(dataclasses.replace(CUTOUTS, load=self._load_masker))),
            ("colours", lambda: self.derive(COLORS)),
            ("resnet", lambda: self.derive(self._encoding(RESNET, self.resnet))),
            ("clip", lambda: self.derive(self._encoding(CLIP, self.clip))),
        ]

    def clear(self) -> None:
        """Start over with an empty library."""
        import sqlalchemy as sa

        self.rounds += 1
        self.library = dataclasses.replace(self.library, objects=ObjectStore(self.home / f"round-{self.rounds}"))
        with self.library.database.session() as session:
            session.execute(sa.text("TRUNCATE images, models RESTART IDENTITY CASCADE"))
            for spec in (U2NETP, LAB_PALETTE, RESNET34, CLIP_LAION2B):
                models.add_model(session, spec)
            session.commit()

    async def download(self) -> None:
        """Fetch every picture into the store, as a crawl does."""
        port = urlsplit(self.urls[0]).port
        guard = AddressGuard.parse(f"127.0.0.1:{port}")
        async with Fetcher("bench", guard, Pace(delay_s=0.0, concurrency=8)) as fetcher:

            async def fetch(url: str) -> str:
                with self.library.objects.stage(MAX_BYTES) as staged:
                    await fetcher.get(url, hosts=["*"], sink=staged.write)
                    return self.library.objects.publish(staged)

            self.names = await asyncio.gather(*map(fetch, self.urls))

    def decode(self) -> None:
        """Decode and hash each picture once, and store its working copy and its row."""
        objects = self.library.objects
        for digest in self.names:
            decoded = self.decoder.decode(objects.path(digest))
            new = images.NewImage(
                sha256=digest,
                byte_count=objects.path(digest).stat().st_size,
                format=decoded.format,
                width_px=decoded.width_px,
                height_px=decoded.height_px,
                has_alpha=decoded.has_alpha,
                phash=decoded.phash,
                working_copy_sha256=objects.put(decoded.working_copy),
                img_name=f"{digest}.jpg",
                source="bench",
            )
            with self.library.database.session() as session:
                image, _ = images.add_image(session, new)
                objects.link(digest, image.img_path)
                session.commit()

    def derive(self, stage: Stage[Any]) -> None:
        """Run one stage over everything."""
        with ledger.running(self.library.database, RUN_ID):
            report = run_stage(self.library, stage, run_id=RUN_ID, buckets=range(BUCKET_COUNT), force=False)
        if report.processed != len(self.urls):
            raise RuntimeError(f"{stage.name}: {report.processed} of {len(self.urls)} done")

    def _load_masker(self, library: Library, spec: ModelSpec) -> CutoutWorker:
        return CutoutWorker(library.objects, spec, self.masker)

    def _encoding(self, stage: Stage[Any], seeded: ModelSpec) -> Stage[Any]:
        def load(_library: Library, spec: ModelSpec) -> EmbeddingWorker:
            encoder = load_image_encoder(seeded, self.home, "cpu")
            return EmbeddingWorker("resnet" if spec.role == "resnet" else "clip", spec, encoder)

        return dataclasses.replace(stage, load=load)
