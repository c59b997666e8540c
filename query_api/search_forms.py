"""Reading a search off the wire: a JSON body, or a form with the same JSON and the files that it names."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from lib.arrays import RGBAImage
from query_api.dependencies import ServiceDep, decoded_upload
from query_api.schemas.mixed_searches import EXAMPLES, MOST_TERMS, UPLOAD_EXAMPLE, MixedSearch

JSON, FORM = "application/json", "multipart/form-data"
FIELD = "query"
MOST_QUERY_BYTES = 1 << 16


@dataclass(frozen=True)
class AskedSearch:
    """A search and the pictures that came with it, by name."""

    search: MixedSearch
    uploads: Mapping[str, RGBAImage]


@dataclass(frozen=True)
class SearchForm:
    """A search and its files, not decoded yet; open until the answer is made."""

    search: MixedSearch
    files: Mapping[str, UploadFile]


async def search_form(request: Request) -> AsyncIterator[SearchForm]:
    """Yield what the body says. Raises RequestValidationError; HTTPException 415 for a body of another kind."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == JSON:
        yield SearchForm(_search(await request.body(), "body"), {})
    elif kind == FORM:
        async with request.form(max_files=MOST_TERMS + 1, max_fields=MOST_TERMS) as form:
            parts = dict(form)
            query = parts.pop(FIELD, None)
            text = await query.read(MOST_QUERY_BYTES) if isinstance(query, UploadFile) else query
            search = _search(text or "", f"body.{FIELD}")
            yield SearchForm(search, _named_files(search, parts))
    else:
        raise HTTPException(415)


def _search(text: str | bytes, where: str) -> MixedSearch:
    try:
        return MixedSearch.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        raise RequestValidationError([{**one, "loc": (where, *one["loc"])} for one in found]) from error


def _named_files(search: MixedSearch, parts: Mapping[str, Any]) -> dict[str, UploadFile]:
    """Return the files by name, if they are just those that the search names."""
    files = {name: part for name, part in parts.items() if isinstance(part, UploadFile)}
    if set(parts) != set(files) or set(files) - search.uploads():
        _refuse("the form has a part that the query does not name as an upload")
    return files


async def complete_form(form: Annotated[SearchForm, Depends(search_form)]) -> SearchForm:
    """Return the form, if every file that its search names is there."""
    if form.search.uploads() - set(form.files):
        _refuse("the query names an upload that is not there: send it as a file of that name, as multipart/form-data")
    return form


def _refuse(message: str) -> None:
    raise RequestValidationError([{"loc": ("body",), "msg": message, "type": "value_error"}])


def asked_search(form: Annotated[SearchForm, Depends(complete_form)], service: ServiceDep) -> AskedSearch:
    """Return the search with its pictures decoded. Raises ImageError."""
    return AskedSearch(form.search, {name: decoded_upload(service, file) for name, file in form.files.items()})


AskedSearchDep = Annotated[AskedSearch, Depends(asked_search)]


def request_body() -> dict[str, Any]:
    """Return OpenAPI's words for the two kinds of body."""
    schema = {"$ref": f"#/components/schemas/{MixedSearch.__name__}"}
    form = {
        "type": "object",
        "properties": {FIELD: schema},
        "required": [FIELD],
        "additionalProperties": {"type": "string", "contentMediaType": "application/octet-stream"},
    }
    return {
        "required": True,
        "content": {
            JSON: {"schema": schema, "examples": {name: {"value": value} for name, value in EXAMPLES.items()}},
            FORM: {
                "schema": form,
                "encoding": {FIELD: {"contentType": JSON}},
                "examples": {"a picture and words": {"value": {FIELD: UPLOAD_EXAMPLE, "photo": "(a file)"}}},
            },
        },
    }
