"""``vitrine sources``: the sites that are scraped, and the folders that were added."""

import re
from collections.abc import Sequence
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from lib.cli.output import JsonOption, counted, note, print_json, show, table
from lib.cli.server import UrlOption, connected
from lib.client import Vitrine
from lib.client.models import DryRun, Site, SourceDetail, SourceInfo

app = typer.Typer(no_args_is_help=True)
NAME_LENGTH = 63
NameArgument: TypeAlias = Annotated[str, typer.Argument(help="The source's name.")]
NameOption: TypeAlias = Annotated[
    str | None, typer.Option("--name", help="What to call it; made from the URL without it.")
]
FollowOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--follow", help="Follow links that match this regular expression too. May be repeated."),
]
MaxPagesOption: TypeAlias = Annotated[int, typer.Option("--max-pages", min=1, help="How many pages at most.")]
MinSideOption: TypeAlias = Annotated[
    int, typer.Option("--min-side", min=1, help="Refuse pictures with a shorter side, in px.")
]


@app.command("list")
def list_sources(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Show the sources."""
    with connected(url) as vitrine:
        found = vitrine.sources.list_all()
    if as_json:
        print_json(found)
        return
    shown = table("name", "scraped", "starts at")
    for source in found:
        shown.add_row(source.site.name, _when(source), escape(_begin(source.site.start_urls)))
    show(shown if found else "There are no sources yet: add one with `vitrine sources add URL`.")


def _when(source: SourceInfo | SourceDetail) -> str:
    if is_folder(source.site):
        return "when it is added again"
    if not source.enabled:
        return "never: switched off"
    return source.site.schedule or "on request"


def _begin(urls: Sequence[str]) -> str:
    return urls[0] + (f" and {len(urls) - 1} more" if len(urls) > 1 else "")


def is_folder(site: Site) -> bool:
    """Return whether a source is a folder of files, not a site."""
    return any(url.startswith("file:") for url in site.start_urls)


@app.command("show")
def show_source(name: NameArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Show a source's rules, and what came of them."""
    with connected(url) as vitrine:
        found = vitrine.sources.describe(name)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(source: SourceDetail) -> None:
    show(f"[bold]{source.site.name}[/]: {counted(source.images, 'image')}, {_when(source)}")
    for outcome, count in source.pages.items():
        show(f"  {counted(count, 'page')} {outcome}")
    default = Site(name=source.site.name, start_urls=source.site.start_urls)
    for rule, value in source.site:
        if rule != "name" and (rule == "start_urls" or value != getattr(default, rule)):
            show(f"  {rule}: {escape(', '.join(value) if isinstance(value, list) else str(value))}")


@app.command("add")
def add(
    start: Annotated[list[str], typer.Argument(help="Where to start.", metavar="URL...")],
    name: NameOption = None,
    follow: FollowOption = None,
    max_pages: MaxPagesOption = 200,
    min_side: MinSideOption = 96,
    schedule: Annotated[
        str | None, typer.Option(help="When it is scraped by itself: minute hour day month weekday, in UTC.")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a site. Nothing is fetched before the next scrape: `vitrine scrape NAME`."""
    site = site_from(start, name=name, follow=follow, max_pages=max_pages, min_side=min_side, schedule=schedule)
    with connected(url) as vitrine:
        found = vitrine.sources.add(site)
    if as_json:
        print_json(found)
    else:
        show(f"{site.name} is a source now. Scrape it with `vitrine scrape {site.name}`.")


@app.command("dry-run")
def dry_run(
    what: Annotated[str, typer.Argument(help="A source's name, or a URL.", metavar="NAME|URL")],
    follow: FollowOption = None,
    pages: Annotated[int, typer.Option(min=1, max=10, help="How many pages to look at.")] = 2,
    min_side: MinSideOption = 96,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at the first pages of a site and show what a scrape would take. Nothing is stored."""
    with connected(url) as vitrine:
        site = (
            site_from([what], name=None, follow=follow, max_pages=pages, min_side=min_side)
            if is_url(what)
            else vitrine.sources.describe(what).site
        )
        found = vitrine.sources.dry_run(site, max_pages=pages)
    if as_json:
        print_json(found)
    else:
        _show_dry_run(found)


def _show_dry_run(found: DryRun) -> None:
    for page in found.pages:
        show(
            f"[bold]{escape(page.url)}[/] {escape(page.title)}: {page.verdict}, {counted(page.links, 'link')} to follow"
        )
        shown = table("verdict", "picture", "words")
        for image in page.images:
            shown.add_row(image.verdict, escape(image.url), escape(image.alt))
        if page.images:
            show(shown)
    show(f"{counted(found.would_take, 'picture')} would be taken from {counted(len(found.pages), 'page')}.")


@app.command("remove")
def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a source, its pages, and the images that no other page shows; those can be restored for some days."""
    with connected(url) as vitrine:
        source = vitrine.sources.describe(name)
        if not yes:
            typer.confirm(f"Remove {name}, with {counted(source.images, 'image')}?", abort=True, err=True)
        found = vitrine.sources.remove(name)
    if as_json:
        print_json(found)
    else:
        show(f"{name} is removed; {counted(found.images_unseen, 'image')} went with it.")


def source_of(vitrine: Vitrine, what: str) -> str:
    """Return the name of the source that is meant; a URL that none starts at becomes one. Raises VitrineError."""
    known = vitrine.sources.list_all()
    if not is_url(what):
        _require_site([source for source in known if source.site.name == what])
        return what
    for source in known:
        if what.rstrip("/") in {start.rstrip("/") for start in source.site.start_urls}:
            return source.site.name
    site = vitrine.sources.add(site_from([what], name=free_name(what, [source.site.name for source in known]))).site
    note(f"{escape(what)} is the source {site.name} now.")
    return site.name


def _require_site(named: Sequence[SourceInfo]) -> None:
    for source in named:
        if is_folder(source.site):
            raise typer.BadParameter(
                f"{source.site.name} is a folder of files: `vitrine add {urlsplit(source.site.start_urls[0]).path}`"
            )


def site_from(
    start: Sequence[str],
    *,
    name: str | None,
    follow: Sequence[str] | None = None,
    max_pages: int = 200,
    min_side: int = 96,
    schedule: str | None = None,
) -> Site:
    """Return a site's rules; the server judges them."""
    return Site(
        name=name or name_for(start[0]),
        start_urls=list(start),
        follow=list(follow or ()),
        max_pages=max_pages,
        min_side_px=min_side,
        schedule=schedule,
    )


def is_url(text: str) -> bool:
    """Return whether this is the address of a page.

    >>> is_url("https://museum.example/"), is_url("museum")
    (True, False)
    """
    return bool(re.match(r"https?://", text, re.IGNORECASE))


def name_for(text: str) -> str:
    """Return a source's name made from a URL, a path or any text: small letters, digits and hyphens.

    >>> name_for("https://www.museum.example/Birds/Owls.html"), name_for("Mes photos d'été"), name_for("фото")
    ('museum-example-birds-owls', 'mes-photos-d-t', 'files')
    """
    parts = urlsplit(text)
    plain = (
        (parts.hostname or "").removeprefix("www.") + re.sub(r"\.\w{1,5}$", "", parts.path) if is_url(text) else text
    )
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return slug[:NAME_LENGTH].rstrip("-") or "files"


def free_name(text: str, taken: Sequence[str]) -> str:
    """Return a name made from a text that no source has yet.

    >>> free_name("https://museum.example/", ["museum-example", "museum-example-2"])
    'museum-example-3'
    """
    base = name_for(text)
    numbered = (f"{base[: NAME_LENGTH - 4]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (base, *numbered) if name not in taken)
