"""What all derived assets have in common: buckets, one run for a range of them, promptness, a freshness promise."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from lib.models.registry import Role, model_specs
from orchestration.partitions import buckets

FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7), warn_window=timedelta(days=2))


class DerivedConfig(dg.Config):
    """Run options of a derived asset."""

    force: bool = False


def code_version(role: Role) -> str:
    """Return the code versions of a role's models as one string, so that the UI marks results of older code."""
    versions = {f"{spec.name}:{spec.code_version}" for spec in model_specs() if spec.role == role}
    return " ".join(sorted(versions))


def derived_asset(
    *, group: str, kinds: set[str], role: Role, pool: str | None, deps: Sequence[str]
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return the decorator that makes a derived asset of a function."""
    return dg.asset(
        group_name=group,
        kinds=kinds,
        pool=pool,
        deps=list(deps),
        partitions_def=buckets,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=dg.AutomationCondition.eager(),
        code_version=code_version(role),
        freshness_policy=FRESHNESS,
    )
