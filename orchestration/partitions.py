"""Buckets: the partitions that all derived assets share.

An image's bucket is the first byte of its SHA-256 modulo the number of buckets. The byte itself is stored, so the
number can change without touching a row.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

BUCKET_COUNT = 16
BUCKET_KEYS: Sequence[str] = [f"{bucket:02x}" for bucket in range(BUCKET_COUNT)]
buckets = dg.StaticPartitionsDefinition(BUCKET_KEYS)

# A job that mixes partitioned and unpartitioned assets fails unless its run says which range it covers.
ALL_BUCKETS_TAGS: Mapping[str, str] = {
    "dagster/asset_partition_range_start": BUCKET_KEYS[0],
    "dagster/asset_partition_range_end": BUCKET_KEYS[-1],
}


def bucket_numbers(keys: Sequence[str]) -> tuple[int, ...]:
    """Return the bucket numbers behind partition keys.

    >>> bucket_numbers(["00", "0f"])
    (0, 15)
    """
    return tuple(int(key, 16) for key in keys)
