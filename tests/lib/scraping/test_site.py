import pytest
from pydantic import ValidationError

from lib.errors import ConfigurationError
from lib.scraping.site import Site, load_sources


def site(**rules):
    return Site.model_validate({"name": "museum", "start_urls": ["http://museum.example/"], **rules})


def test_page_hosts_are_those_of_the_start_pages():
    assert site(start_urls=["HTTP://Museum.example", "http://art.example/x"]).page_hosts == (
        "museum.example",
        "art.example",
    )


def test_without_rules_only_further_pages_are_followed():
    assert not site().follows("http://museum.example/about")
    assert site().follows("http://museum.example/?page=2", is_next_page=True)


def test_links_are_followed_by_rule_on_page_hosts_only():
    rules = site(follow=["/rooms/"], exclude=[r"\?print"])
    assert rules.follows("http://museum.example/rooms/1")
    assert not rules.follows("http://other.example/rooms/1")
    assert not rules.follows("http://museum.example/rooms/1?print")
    assert not rules.follows("http://museum.example/?page=2&x=1?print", is_next_page=True)


def test_image_rules_include_and_exclude():
    rules = site(image_include=["/full/"], image_exclude=["banner"])
    assert rules.wants_image("http://cdn.example/full/1.jpg")
    assert not rules.wants_image("http://cdn.example/thumb/1.jpg")
    assert not rules.wants_image("http://cdn.example/full/banner.jpg")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{start_urls: [http://a.example/]}", r"entry 1: name"),
        ("{name: ../etc, start_urls: [http://a.example/]}", r"entry 1 \(\.\./etc\): name"),
        ("{name: a, start_urls: []}", r"entry 1 \(a\): start_urls"),
        ("{name: a, start_urls: [ftp://a.example/]}", r"start_urls\.0: .*http"),
        ("{name: a, start_urls: [http://a.example/], page_hosts: ['*']}", "page_hosts.*closed"),
        ("{name: a, start_urls: [http://a.example/], image_hosts: ['http://b.example']}", "image_hosts.*host"),
        ("{name: a, start_urls: [http://a.example/], follow: ['(']}", "follow.*regular expression"),
        ("{name: a, start_urls: [http://a.example/], max_page: 3}", "max_page"),
        ("{name: a, start_urls: [http://a.example/], schedule: daily}", "schedule.*5 fields"),
        ("{name: a, start_urls: [http://a.example/], schedule: '61 * * * *'}", "schedule.*minute"),
        ("{name: a, start_urls: [http://a.example/], timezone: Mars/Olympus}", "timezone.*Mars/Olympus.*Europe/Berlin"),
        ("{name: a, start_urls: [http://a.example/], min_revisit_hours: 500}", "min_revisit_hours must not be more"),
        ("{name: a, start_urls: [http://a.example/], delay_s: -1}", "delay_s"),
        ("just text", "entry 1"),
    ],
)
def test_a_wrong_entry_is_named_with_its_fault(tmp_path, entry, complaint):
    path = tmp_path / "sources.yaml"
    path.write_text(f"- {entry}\n")
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load_sources(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["- {name: a, start_urls: [http://a.example/]}", "sources: [{name: a, start_urls: [http://a.example/]}]"]
)
def test_sources_may_stand_as_a_list_or_under_their_name(tmp_path, text):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    assert [site.name for site in load_sources(path)] == ["a"]


def test_no_file_and_an_empty_file_have_no_sources(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert load_sources(tmp_path / "none.yaml") == load_sources(tmp_path / "empty.yaml") == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sources: 3", "list of sites"),
        ("{", "YAML"),
        (
            "[{name: a, start_urls: [http://a.example/]}, {name: a, start_urls: [http://b.example/]}]",
            "'a' is used twice",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path, text, complaint):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        load_sources(path)


def test_a_site_survives_its_way_through_json():
    original = site(follow=["/rooms/"], schedule="0 3 * * *")
    assert Site.model_validate_json(original.model_dump_json()) == original


def test_a_folder_is_a_source_that_is_never_scraped():
    folder = site(start_urls=["file:///home/me/My%20owls/"], enabled=False)
    assert folder.start_urls == ("file://localhost/home/me/My%20owls/",)
    assert folder.is_folder
    assert not site().is_folder
    for wrong in ({"enabled": True}, {"enabled": False, "schedule": "0 3 * * *"}):
        with pytest.raises(ValidationError, match="vitrine add"):
            site(start_urls=["file:///home/me/"], **wrong)
    with pytest.raises(ValidationError, match="on this machine"):
        site(start_urls=["file://elsewhere/home/me/"], enabled=False)
