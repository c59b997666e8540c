"""The predecessor's twelve requests: its paths and methods, each served by its successor's own function."""

from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.responses import Response

from query_api.routes import image_files, images, jobs, library, merges, search
from query_api.routes.search import PICTURE_OR_JSON
from query_api.schemas.images import CutoutRecord
from query_api.schemas.jobs import JobAnswer
from query_api.schemas.searches import ColorSearchAnswer, VectorSearchAnswer

DEPRECATED_SINCE = 1_795_478_400  # 2026-11-24, the first release
SUCCESSORS: Mapping[str, str] = {
    "/scrape": "/v1/jobs/scrape",
    "/hello": "/v1/images",
    "/clear_all": "/v1/library/clear",
    "/highlight_all_images": "/v1/jobs/cut_out",
    "/highlight_particular_image": "/v1/images",
    "/merge_imgs": "/v1/merges",
    "/find_all_complementary": "/v1/search/complementary-colors",
    "/find_all_similar_by_lab": "/v1/search/similar-colors",
    "/get_all_resnet_embeddings": "/v1/jobs/embed_resnet",
    "/get_all_clip_embeddings": "/v1/jobs/embed_clip",
    "/get_top_24_resnet_similar": "/v1/search/look",
    "/get_top_25_clip_similar": "/v1/search/words",
}
CHANGING_GETS = frozenset(
    {"/scrape", "/clear_all", "/highlight_all_images", "/get_all_resnet_embeddings", "/get_all_clip_embeddings"}
)

router = APIRouter(tags=["legacy"])
for path, bulk in (
    ("/scrape", jobs.scrape),
    ("/highlight_all_images", jobs.highlight_all_images),
    ("/get_all_resnet_embeddings", jobs.get_all_resnet_embeddings),
    ("/get_all_clip_embeddings", jobs.get_all_clip_embeddings),
):
    router.get(path, response_model=JobAnswer, responses=jobs.ACCEPTED)(bulk)
router.get("/clear_all")(library.clear)
router.post("/hello")(images.hello)
router.post("/highlight_particular_image", response_model=CutoutRecord, responses=PICTURE_OR_JSON)(
    image_files.highlight_by_path
)
router.post("/merge_imgs", response_class=Response, responses=PICTURE_OR_JSON)(merges.merge_by_paths)
for path, colors in (
    ("/find_all_complementary", search.complementary_colors),
    ("/find_all_similar_by_lab", search.similar_colors),
):
    router.post(path, response_model=ColorSearchAnswer, responses=PICTURE_OR_JSON)(colors)
for path, nearest in (
    ("/get_top_24_resnet_similar", search.by_look),
    ("/get_top_25_clip_similar", search.by_words),
):
    router.post(path, response_model=VectorSearchAnswer, responses=PICTURE_OR_JSON)(nearest)
