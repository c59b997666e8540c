"""The short codes of the library in words that a person would say: why something was not taken, how a job stands."""

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    "too_small": "too small",
    "truncated": "cut off",
    "http_404": "not found (404)",
    "robots": "forbidden by robots.txt",
    "taken_down": "taken down",
    "noai": "opted out of AI",
    "noimageai": "opted out of AI",
    "noindex": "opted out of being found",
    "not_an_image": "not a picture",
    "not_a_page": "not a page",
    "unsupported_format": "in a format that is not read",
    "too_large": "too large",
    "too_many_bytes": "too large",
    "too_many_pixels": "too many pixels",
    "forbidden_address": "at an address that must not be visited",
    "host_not_allowed": "at a host that must not be visited",
}
STATES: Mapping[str, str] = {
    "queued": "waits for Dagster",
    "launched": "starting",
    "NOT_STARTED": "starting",
    "QUEUED": "waits for another run",
    "STARTING": "starting",
    "STARTED": "running",
    "CANCELING": "stopping",
    "SUCCESS": "done",
    "FAILURE": "failed",
    "CANCELED": "called off",
    "canceled": "called off",
}


def in_plain_words(code: str) -> str:
    """Return a reason, or any other name of ours, as a person would say it.

    >>> in_plain_words("robots"), in_plain_words("http_503"), in_plain_words("retry_failures")
    ('forbidden by robots.txt', 'http 503', 'retry failures')
    """
    return REASONS.get(code, code.replace("_", " "))


def state_in_words(state: str) -> str:
    """Return how a job stands, for a person.

    >>> state_in_words("STARTED"), state_in_words("SOMETHING_NEW")
    ('running', 'something new')
    """
    return STATES.get(state, state.replace("_", " ").lower())
