"""What the library must not show."""

from collections.abc import Sequence

from ..models import LiftAnswer, TakedownAnswer, TakedownInfo, TakedownRequest
from ..operations import AnyConnection, Group, operation
from ..requests import Request, answer


class Takedowns(Group[AnyConnection]):
    """Files, addresses and hosts that are refused, whoever meets them again."""

    @operation("takedowns_list_all")
    def list_all(self) -> Request[list[TakedownInfo]]:
        """List all entries, newest first."""
        return Request("GET", "/v1/takedowns", answer(list[TakedownInfo]))

    @operation("takedowns_add")
    def add(
        self,
        targets: Sequence[str] = (),
        *,
        image_ids: Sequence[int] = (),
        reason: str | None = None,
        erase: bool = False,
    ) -> Request[TakedownAnswer]:
        """Hide images for good: the same file, address or host is refused ever after.

        A target is the SHA-256 of a file in hex, the URL of a picture or a page, or a host with all below it.
        """
        body = TakedownRequest(targets=list(targets), image_ids=list(image_ids), reason=reason, erase=erase)
        return Request("POST", "/v1/takedowns", answer(TakedownAnswer), body=body, harmless_twice=True)

    @operation("takedowns_lift")
    def lift(self, takedown_id: int) -> Request[LiftAnswer]:
        """Strike an entry off the list; what it alone had hidden is shown again, unless it is erased."""
        return Request("DELETE", f"/v1/takedowns/{takedown_id}", answer(LiftAnswer))
