import dataclasses
import json
import re
from typing import get_args

import pytest

from lib.errors import ModelNotFound
from lib.models.registry import STAGE_OF_ROLE, Role, model_by_spec_id, model_spec, model_specs


@pytest.mark.parametrize("profile", ["packaged", "standard"])
def test_a_profile_has_one_model_for_each_role(profile):
    assert [spec.role for spec in model_specs(profile)] == list(get_args(Role)) == list(STAGE_OF_ROLE)


def test_the_colour_model_is_the_same_in_both_profiles():
    assert model_spec("color", "packaged") is model_spec("color", "standard")


def test_every_model_has_a_spec_of_its_own():
    ids = {spec.spec_id for spec in model_specs()}
    assert len(ids) == len(model_specs())
    assert all(re.fullmatch("[0-9a-f]{16}", spec_id) for spec_id in ids)


@pytest.mark.parametrize(
    "change", [{"code_version": "2"}, {"parameters": {"temperature": 1.0}}, {"preprocessing": None}, {"weights": ()}]
)
def test_whatever_changes_the_result_changes_the_spec(change):
    spec = model_spec("clip", "packaged")
    assert dataclasses.replace(spec, **change).spec_id != spec.spec_id


def test_a_licence_or_a_language_changes_no_result_and_no_spec():
    spec = model_spec("clip", "packaged")
    assert dataclasses.replace(spec, licence="other", languages=()).spec_id == spec.spec_id


def test_the_order_of_parameters_does_not_matter():
    spec = model_spec("clip", "packaged")
    turned = dict(reversed(list(json.loads(json.dumps(spec.parameters)).items())))
    assert dataclasses.replace(spec, parameters=turned).spec_id == spec.spec_id


def test_a_model_is_found_by_its_spec_and_by_its_name():
    lighter = model_spec("clip", "standard", "ViT-B-32-laion2b-s34b-b79k")
    assert model_by_spec_id(lighter.spec_id) is lighter


def test_unknown_models_are_named():
    with pytest.raises(ModelNotFound, match="0123456789abcdef"):
        model_by_spec_id("0123456789abcdef")
    with pytest.raises(ModelNotFound, match=r"'siglip'.*conse-lite2-minilm"):
        model_spec("clip", "packaged", "siglip")


def test_every_weight_can_be_had_and_is_pinned():
    for spec in model_specs():
        for file in spec.weights:
            assert (file.url is None) != (file.package is None)
            assert file.sha256 or spec.name == "ViT-B-32-datacomp-xl-s13b-b90k"
