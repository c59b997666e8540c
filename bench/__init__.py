"""Claims about speed, one file each: a peer and us in one process, the ratio printed. Run ``python -m bench.NAME``."""
