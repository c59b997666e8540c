"""What a materialisation shows in the Dagster UI: small pictures, and what failed.

The UI shows Markdown inline only below 1,000 characters, so pictures are links to thumbnails that the API serves.
"""

from collections.abc import Sequence

import dagster as dg

from lib.settings import Settings

MAX_INLINE = 1000
MAX_FAILURES = 20


def samples_table(settings: Settings, image_ids: Sequence[int]) -> dg.MarkdownMetadataValue:
    """Return thumbnails of some images as a one-row Markdown table of under 1,000 characters."""
    if not image_ids:
        return dg.MetadataValue.md("no images yet")
    base = f"http://{settings.api_host}:{settings.api_port}/v1/images"
    cells = [f"![{image_id}]({base}/{image_id}/thumbnail?w=96)" for image_id in image_ids]
    while len(_row(cells)) >= MAX_INLINE:
        cells.pop()
    return dg.MetadataValue.md(_row(cells))


def quality_chart(settings: Settings, spec_id: str) -> dg.MarkdownMetadataValue:
    """Return the chart of a model's distances and recall, drawn by the API when somebody looks."""
    url = f"http://{settings.api_host}:{settings.api_port}/v1/models/{spec_id}/quality.svg"
    return dg.MetadataValue.md(f"![distances and recall]({url})")


def _row(cells: Sequence[str]) -> str:
    return f"|{'|'.join(cells)}|\n|{'---|' * len(cells)}"


def failures_table(failures: Sequence[tuple[int, str, str]]) -> dg.MarkdownMetadataValue:
    """Return (image id, status, error) rows as a Markdown table of at most 20 rows."""
    if not failures:
        return dg.MetadataValue.md("none")
    rows = [f"|{image_id}|{status}|{_cell(error)}|" for image_id, status, error in failures[:MAX_FAILURES]]
    return dg.MetadataValue.md("\n".join(["|image|status|error|", "|---|---|---|", *rows]))


def _cell(text: str) -> str:
    return text.replace("|", "¦").replace("\n", " ")[:120]
