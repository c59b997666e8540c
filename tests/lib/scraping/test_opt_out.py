import pytest

from lib.scraping.opt_out import forbids_following, forbids_indexing


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["noindex"], "noindex"),
        (["NoAI, noimageai"], "noai"),
        (["noimageai"], "noimageai"),
        (["none"], "none"),
        (["all", "index, noai"], "noai"),
        (["index, follow, max-image-preview: large"], None),
        (["unavailable_after: 25 Jun 2026 15:00:00 GMT, noindex"], "noindex"),
        (["otherbot: noindex, noai"], None),
        (["otherbot: index, vitrine: noindex"], "noindex"),
        (["vitrine: noindex, otherbot: all"], "noindex"),
        (["*: noai"], "noai"),
        (["nofollow"], None),
        ([], None),
    ],
)
def test_directives_count_for_those_they_address(values, expected):
    assert forbids_indexing(values, "Vitrine") == expected


@pytest.mark.parametrize(("values", "expected"), [(["nofollow"], True), (["none"], True), (["noindex"], False)])
def test_links_are_left_alone_where_asked(values, expected):
    assert forbids_following(values, "Vitrine") is expected
