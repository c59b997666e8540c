"""Copies of one picture."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from ..models import DuplicateDecisionBody, DuplicateGroupOut, DuplicatesAnswer
from ..operations import AnyConnection, Group, list_operation, operation
from ..requests import PagedRequest, Request, answer, nothing

Level: TypeAlias = Literal["bytes", "hash", "look"]


class Duplicates(Group[AnyConnection]):
    """Images that may be one picture."""

    @list_operation("duplicates_groups")
    def groups(
        self,
        level: Level,
        *,
        bits: int | None = None,
        within: float | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> PagedRequest[DuplicatesAnswer, DuplicateGroupOut]:
        """List groups of images that may be one picture, those with the newest first.

        ``bytes``: one file at several addresses. ``hash``: re-encoded, up to ``bits`` of 64 apart. ``look``: similar
        shots, up to the cosine distance ``within``.
        """
        query = {"level": level, "bits": bits, "within": within, "limit": limit}

        def page(behind: str | None) -> Request[DuplicatesAnswer]:
            return Request("GET", "/v1/duplicates", answer(DuplicatesAnswer), {**query, "cursor": behind or cursor})

        return PagedRequest(page, lambda page: page.items, lambda page: page.next)

    @operation("duplicates_decide")
    def decide(self, image_ids: Sequence[int], *, duplicates: bool) -> Request[None]:
        """Remember that these images are not copies of one another (False), or forget that this was said (True)."""
        body = DuplicateDecisionBody(image_ids=list(image_ids), duplicates=duplicates)
        return Request("POST", "/v1/duplicates/decisions", nothing, body=body, harmless_twice=True)
