"""Vitrine from Python: a client for its API, blocking and asynchronous.

>>> from lib.client import Vitrine
>>> with Vitrine("http://127.0.0.1:8004") as vitrine:  # doctest: +SKIP
...     for match in vitrine.search.by("a dog").results:
...         vitrine.images.thumbnail(match.image_id).save(f"{match.rank}.webp")

Needs httpx2 and pydantic, and nothing else of this project: the folder can be taken along under any name, for which its
modules import one another relatively. What the API takes and answers is in models.py; every error in problems.py.
"""

from .problems import (
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    Invalid,
    JobFailed,
    JobStillRunning,
    NotComputedYet,
    NotFound,
    NotReady,
    RunFailed,
    ServerFault,
    UnexpectedAnswer,
    Unreachable,
    VitrineError,
    VitrineProblem,
)
from .retries import Retries
from .vitrine import AsyncVitrine, Vitrine

__all__ = [
    "AsyncVitrine",
    "Conflict",
    "Forbidden",
    "IdempotencyKeyReused",
    "Invalid",
    "JobFailed",
    "JobStillRunning",
    "NotComputedYet",
    "NotFound",
    "NotReady",
    "Retries",
    "RunFailed",
    "ServerFault",
    "UnexpectedAnswer",
    "Unreachable",
    "Vitrine",
    "VitrineError",
    "VitrineProblem",
]
