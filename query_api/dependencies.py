"""What routes ask for by type: a session, the service, the picture that was uploaded, the kind of answer wanted."""

import shutil
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, cast

from fastapi import Depends, File, Path, Query, Request, UploadFile
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile as StarletteUpload

from lib.arrays import RGBAImage
from lib.images.background import apply_mask
from lib.storage.image_filters import ImageFilter
from query_api.cursors import MAX_CURSOR, MAX_ID
from query_api.cutouts import subject_mask
from query_api.negotiation import prefers_json
from query_api.service import Service

MAX_TEXT = 2000
MAX_PATH = 1024
MAX_ALT = 200
MAX_SIDE_PX = 100_000
COPY_BYTES = 1 << 20


class CutoutOption(StrEnum):
    """What to do with the background of a query picture."""

    none = "none"
    auto = "auto"


def storable(text: str) -> str:
    """Refuse what no database text can hold."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def written_out(moment: object) -> object:
    """Refuse a moment that is not written as ISO 8601: a bare number could be seconds, milliseconds or a year."""
    if not isinstance(moment, str) or moment.replace(".", "", 1).lstrip("+-").isdecimal():
        raise ValueError("write date and time with their zone, as in 2026-11-24T09:30:00Z")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(written_out)]
WITHOUT_NUL = Field(json_schema_extra={"pattern": r"^[^\x00]*$"})  # what `storable` refuses, for who reads the schema
ImgPath = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATH), AfterValidator(storable), WITHOUT_NUL]
QueryText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
AltWords = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ALT), AfterValidator(storable), WITHOUT_NUL]
Format = Literal["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"]
ImageId = Annotated[int, Path(ge=1, le=MAX_ID)]
PageCursor = Annotated[str | None, Query(max_length=MAX_CURSOR, description="`next` of the page before.")]


# `async def` where nothing is waited for: a plain function would be given a thread of its own.
async def service_of(request: Request) -> Service:
    """Return the running service."""
    return cast("Service", request.app.state.service)


ServiceDep = Annotated[Service, Depends(service_of)]


def database_session(service: ServiceDep) -> Iterator[Session]:
    """Yield a session; no connection is taken before its first use."""
    with service.database.session() as session:
        yield session


# Closed before the answer is sent: closing can fail too, and then there is still time to say so.
SessionDep = Annotated[Session, Depends(database_session, scope="function")]


async def wants_json(request: Request) -> bool:
    """Return whether the client would rather have JSON than a picture."""
    return prefers_json(request.headers.get("accept", ""))


WantsJson = Annotated[bool, Depends(wants_json)]


async def image_filter(
    source: Annotated[SourceName | None, Query(description="Seen on a page of this source.")] = None,
    since: Annotated[Moment | None, Query(description="First stored then or later.")] = None,
    until: Annotated[Moment | None, Query(description="First stored before.")] = None,
    format: Annotated[list[Format] | None, Query(description="Of one of these file formats.")] = None,  # noqa: A002  a parameter's name on the wire
    min_side: Annotated[int | None, Query(ge=1, le=MAX_SIDE_PX, description="Shorter side at least, in px.")] = None,
    max_side: Annotated[int | None, Query(ge=1, le=MAX_SIDE_PX, description="Longer side at most, in px.")] = None,
    has_cutout: Annotated[bool | None, Query(description="Whether its subject has been cut out.")] = None,
    alt: Annotated[AltWords | None, Query(description="In the words beside it, in any case.")] = None,
) -> ImageFilter:
    """Return which images a query string asks for."""
    return ImageFilter(source, since, until, tuple(format or ()), min_side, max_side, has_cutout, alt)


FilterDep = Annotated[ImageFilter, Depends(image_filter)]


def decoded_upload(service: Service, upload: StarletteUpload) -> RGBAImage:
    """Return an uploaded picture as its working copy would have it.

    It is decoded by the limited child process, from a staging file that is gone afterwards. Raises ImageError.
    """
    with service.objects.stage(service.settings.max_image_bytes) as staged:
        shutil.copyfileobj(upload.file, staged, COPY_BYTES)
        staged.flush()
        return service.decoder.decode_pixels(staged.path)


def query_picture(
    service: ServiceDep,
    image: Annotated[UploadFile, File(description="A picture: PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF.")],
) -> RGBAImage:
    """Return the working copy of an uploaded picture. Raises ImageError."""
    return decoded_upload(service, image)


QueryPicture = Annotated[RGBAImage, Depends(query_picture)]


def query_subject(
    service: ServiceDep,
    picture: QueryPicture,
    cutout: Annotated[
        CutoutOption, Query(description="`auto` removes an opaque picture's background first.")
    ] = CutoutOption.none,
) -> RGBAImage:
    """Return the uploaded picture as colours are to be compared: as it is, or its cut-out if that is asked for."""
    if cutout is CutoutOption.none or picture[..., 3].min() < 255:
        return picture
    return apply_mask(picture, subject_mask(service.models.masker(), picture).mask)


QuerySubject = Annotated[RGBAImage, Depends(query_subject)]
