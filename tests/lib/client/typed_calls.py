"""What type checkers make of the client: mypy reads this file with the rest, nothing runs it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

from lib.client import AsyncVitrine, Vitrine
from lib.client.downloads import AsyncDownload, Download
from lib.client.models import ImageDetail, ImageSummary, JobAnswer, MixedMatch, MixedSearchAnswer
from lib.client.running_jobs import AsyncRunningJob, RunningJob


def blocking_calls_give_answers(vitrine: Vitrine) -> None:
    """Answers, downloads, lists, jobs, events."""
    assert_type(vitrine.images.describe(1), ImageDetail)
    assert_type(vitrine.images.thumbnail(1, w=64), Download)
    assert_type(vitrine.images.thumbnail(1).save("small.webp"), Path)
    assert_type(list(vitrine.images.all(source="museum")), list[ImageSummary])
    assert_type(vitrine.search.by("a dog", colors=["#fff"]), MixedSearchAnswer)
    assert_type(vitrine.jobs.run("scrape"), RunningJob)
    assert_type(vitrine.jobs.events("id"), Iterator[JobAnswer])


async def asynchronous_calls_give_the_same_to_await(vitrine: AsyncVitrine) -> None:
    """The same ones."""
    vitrine.images.describe(1)  # type: ignore[unused-coroutine]
    assert_type(await vitrine.images.describe(1), ImageDetail)
    assert_type(vitrine.images.thumbnail(1, w=64), AsyncDownload)
    assert_type(await vitrine.images.thumbnail(1).save("small.webp"), Path)
    assert_type([match async for match in vitrine.search.all(text="a dog")], list[MixedMatch])
    assert_type(await vitrine.jobs.run("scrape"), AsyncRunningJob)
    assert_type(vitrine.jobs.events("id"), AsyncIterator[JobAnswer])


def mistakes_are_found_before_anything_is_sent(vitrine: Vitrine) -> None:
    """An ignore that is not needed is an error itself."""
    vitrine.images.describe("1")  # type: ignore[arg-type]
    vitrine.images.all(sauce="museum")  # type: ignore[call-arg]
    vitrine.search.all(words="a dog")  # type: ignore[call-arg]
    vitrine.jobs.run("scrap")  # type: ignore[arg-type]
    vitrine.duplicates.groups("sound")  # type: ignore[arg-type]
    vitrine.merges.merge_by_drawing(1, 2)  # type: ignore[call-arg]
