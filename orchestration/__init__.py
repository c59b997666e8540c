"""When Vitrine works: assets, checks, jobs, triggers. What the work is lies in ``lib``."""

import warnings

import dagster as dg

# One run for a range of buckets is what makes a derived asset cheap; it has been in beta since Dagster 1.5.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
