"""Measurements: one file a claim, a peer and us in one process, the ratio printed. ``python -m bench.NAME``."""
