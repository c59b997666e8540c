"""What computes vectors and cut-outs, and how good it is here."""

from typing import Literal, TypeAlias

from ..models import ModelDetail, ModelList
from ..operations import AnyConnection, Group, file_operation, operation
from ..requests import Request, answer, segment

Role: TypeAlias = Literal["matting", "color", "resnet", "clip"]


class Models(Group[AnyConnection]):
    """Models of this library: how far each has come, and which of them answers."""

    @operation("models_list_all")
    def list_all(self) -> Request[ModelList]:
        """List the models that this library uses or has used, with how many images each has covered."""
        return Request("GET", "/v1/models", answer(ModelList))

    @operation("models_describe")
    def describe(self, spec_id: str) -> Request[ModelDetail]:
        """Describe one model: how many images it has covered, and how much its searches find here."""
        return Request("GET", f"/v1/models/{segment(spec_id)}", answer(ModelDetail))

    @operation("models_activate")
    def activate(self, spec_id: str, *, incomplete: bool = False) -> Request[ModelDetail]:
        """Let a model answer for its role from now on; ``roll_back`` brings the one before back."""
        return Request(
            "POST", f"/v1/models/{segment(spec_id)}/activate", answer(ModelDetail), {"incomplete": incomplete}
        )

    @operation("models_roll_back")
    def roll_back(self, role: Role) -> Request[ModelDetail]:
        """Let the model that answered for a role before the present one answer again, at once."""
        return Request("POST", f"/v1/model-roles/{role}/rollback", answer(ModelDetail))

    @file_operation("models_quality_chart")
    def quality_chart(self, spec_id: str) -> Request[bytes]:
        """Draw how far apart things are under a model, and how much its searches find, as an SVG."""
        return Request("GET", f"/v1/models/{segment(spec_id)}/quality.svg", bytes, headers={"accept": "image/svg+xml"})
