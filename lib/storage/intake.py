"""Taking a picture in: from staged, decoded bytes to published files and the rows that are their receipt.

Belongs here: the one order of steps that a crawl and a folder of files share. What a crawl remembers is in sources.py.
"""

from dataclasses import dataclass
from typing import Protocol

from lib.storage import images, sources, takedowns
from lib.storage.library import Library
from lib.storage.objects import StagedFile
from lib.storage.tables import Image


class DecodedPicture(Protocol):
    """What is to be known of a picture, as `lib.images.decoding` tells it."""

    @property
    def format(self) -> str: ...
    @property
    def width_px(self) -> int: ...
    @property
    def height_px(self) -> int: ...
    @property
    def has_alpha(self) -> bool: ...
    @property
    def working_copy(self) -> bytes: ...
    @property
    def phash(self) -> int: ...


@dataclass(frozen=True)
class Origin:
    """Where a picture came from: a source's name, the URL (whose row a sighting has made), and its validators."""

    source: str
    url: str
    img_name: str
    etag: str | None = None
    last_modified: str | None = None


def take_in(library: Library, staged: StagedFile, decoded: DecodedPicture, origin: Origin) -> tuple[Image, bool]:
    """Publish a picture with its working copy, then write its row, its URL's outcome and its name among the files.

    Returns the row, and whether the live library gained an image. The files come first: a kill in between leaves files
    that no row names, never a row without files. Raises TakenDown.
    """
    objects = library.objects
    with library.database.session() as session:
        takedowns.require_permitted(session, staged.sha256, origin.url)
    working_copy = objects.put(decoded.working_copy)
    sha256 = objects.publish(staged)
    new = images.NewImage(
        sha256=sha256,
        byte_count=staged.byte_count,
        format=decoded.format,
        width_px=decoded.width_px,
        height_px=decoded.height_px,
        has_alpha=decoded.has_alpha,
        phash=decoded.phash,
        working_copy_sha256=working_copy,
        img_name=origin.img_name,
        source=origin.source,
    )
    with library.database.session() as session:
        takedowns.hold_list(session)
        takedowns.require_permitted(session, sha256, origin.url)  # the list may have grown meanwhile
        image, gained = images.add_image(session, new)
        visit = sources.ImageVisit(
            origin.url, "ok", etag=origin.etag, last_modified=origin.last_modified, image_id=image.id
        )
        sources.record_image_url(session, visit)
        objects.link(sha256, image.img_path)
        session.commit()
    return image, gained
