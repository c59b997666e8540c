"""A site to scrape: where it starts, what belongs to it, and how gently it is visited."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from lib.errors import ConfigurationError
from lib.scraping.schedules import check_cron, check_timezone
from lib.scraping.urls import canonical_file_url, canonical_url, host_matches, host_of


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def _host(pattern: str) -> str:
    if not re.fullmatch(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[?[0-9a-f:.]+\]?", pattern.lower()):
        raise ValueError("a host is a name such as example.com or *.example.com, without scheme, port or path")
    return pattern.lower().strip("[].")


def _closed_host(pattern: str) -> str:
    if pattern == "*":
        raise ValueError("page hosts are a closed list; '*' would follow links into the whole web")
    return _host(pattern)


def _start(url: str) -> str:
    """Return the canonical URL of a page, or of a folder on this machine, which nothing ever crawls."""
    return canonical_file_url(url) if url.startswith("file:") else canonical_url(url)


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
StartUrl = Annotated[str, AfterValidator(_start)]
Regex = Annotated[str, AfterValidator(_regex)]
Host = Annotated[str, AfterValidator(_host)]
ClosedHost = Annotated[str, AfterValidator(_closed_host)]
Cron = Annotated[str, AfterValidator(check_cron)]
TimeZone = Annotated[str, AfterValidator(check_timezone)]


def _hosts_of_start_urls(validated: dict[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(host_of(url) for url in validated.get("start_urls", ())))


class Site(BaseModel):
    """One entry of ``sources.yaml``.

    Regular expressions are searched for anywhere in the canonical URL. A link is followed when its host is a page
    host, nothing in ``exclude`` matches, and either it leads to a further page of the same list (rel=next, a link of
    a pager, a page number in its URL: page_links.py) or something in ``follow`` matches. So without ``follow`` only
    lists are paged through.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "birds", "start_urls": ["https://birds.example/gallery"], "follow": ["/species/"]}]
        },
    )

    name: Slug
    start_urls: tuple[StartUrl, ...] = Field(min_length=1)
    page_hosts: tuple[ClosedHost, ...] = Field(default_factory=_hosts_of_start_urls, min_length=1)
    image_hosts: tuple[Host, ...] = ("*",)
    follow: tuple[Regex, ...] = ()
    exclude: tuple[Regex, ...] = ()
    image_include: tuple[Regex, ...] = ()
    image_exclude: tuple[Regex, ...] = ()
    min_side_px: int = Field(96, ge=1)
    max_pages: int = Field(200, ge=1)
    max_depth: int = Field(20, ge=0)
    max_images: int = Field(10_000, ge=1)
    delay_s: float = Field(1.0, ge=0, le=3600)
    concurrency: int = Field(2, ge=1, le=16)
    recheck_days: float = Field(7.0, ge=0)  # a known picture's URL is asked for again (conditionally) after this
    scroll_limit: int = Field(30, ge=0, le=1000)
    enabled: bool = True
    labelled: bool = False  # its alternative texts describe the pictures well enough to measure search by words with
    schedule: Cron | None = None  # scheduled scrapes leave out the pages that are not due (revisits.py)
    timezone: TimeZone = "UTC"
    min_revisit_hours: float = Field(1.0, gt=0)
    max_revisit_hours: float = Field(24.0 * 14, gt=0, le=24 * 3650)

    @model_validator(mode="after")
    def _check_revisits(self) -> Self:
        if self.min_revisit_hours > self.max_revisit_hours:
            raise ValueError("min_revisit_hours must not be more than max_revisit_hours")
        return self

    @property
    def is_folder(self) -> bool:
        """Whether it is files on this machine: such a source is added to, never crawled."""
        return any(url.startswith("file:") for url in self.start_urls)

    @model_validator(mode="after")
    def _check_folder(self) -> Self:
        if self.is_folder and (self.enabled or self.schedule):
            raise ValueError("files are added with `vitrine add`, never scraped: only http and https URLs are")
        return self

    def follows(self, url: str, *, is_next_page: bool = False) -> bool:
        """Return whether a link to the canonical ``url`` is to be visited."""
        if not host_matches(host_of(url), self.page_hosts) or _any_matches(self.exclude, url):
            return False
        return is_next_page or _any_matches(self.follow, url)

    def wants_image(self, url: str) -> bool:
        """Return whether the image rules take in the canonical ``url``; hosts are the fetcher's business."""
        included = not self.image_include or _any_matches(self.image_include, url)
        return included and not _any_matches(self.image_exclude, url)


def _any_matches(patterns: Sequence[str], url: str) -> bool:
    return any(re.search(pattern, url) for pattern in patterns)


def load_sources(path: Path) -> list[Site]:
    """Return the sites of a YAML file: a list of entries, or a mapping with the list under ``sources``.

    A file that does not exist has none. Names are unique.

    Raises
    ------
    ConfigurationError
        Naming the file, the entry, the field and what is wrong with it.
    """
    if not path.exists():
        return []
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML: {error}") from error
    entries = content.get("sources") if isinstance(content, dict) else content
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path}: expected a list of sites, or a list under 'sources'")
    sites = [_site(path, number, entry) for number, entry in enumerate(entries, start=1)]
    _check_names(path, sites)
    return sites


def _site(path: Path, number: int, entry: object) -> Site:
    name = entry.get("name") if isinstance(entry, dict) else None
    label = f"entry {number}" + (f" ({name})" if name else "")
    try:
        return Site.model_validate(entry)
    except ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise ConfigurationError(f"{path}: {label}: " + "; ".join(faults)) from None


def _check_names(path: Path, sites: Sequence[Site]) -> None:
    names = [site.name for site in sites]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: the name {name!r} is used twice")
