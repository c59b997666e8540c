"""Which library a command works on."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from pydantic import ValidationError

from lib.errors import ConfigurationError
from lib.settings import Settings

DEMO_HOME = "demo"
HomeOption: TypeAlias = Annotated[Path | None, typer.Option("--home", help="Where the library lives.")]


def read_settings(home: Path | None = None) -> Settings:
    """Return the settings, for the library at ``home`` if one is named. Raises ConfigurationError."""
    try:
        return Settings(home=home) if home else Settings()
    except ValidationError as error:
        wrong = [f"{_variable(fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise ConfigurationError("; ".join(wrong)) from None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    return name if name.isupper() else f"VITRINE_{name.upper()}"


def library_settings(home: Path | None = None) -> Settings:
    """Return the settings for the library that ``vitrine up`` would serve: the one named, else the default one."""
    return read_settings(home or default_home(read_settings()))


def default_home(settings: Settings) -> Path:
    """Return the home to use when none was named: that of the demo, as long as there are no sources of one's own."""
    demo = settings.home_path / DEMO_HOME
    is_named = "home" in settings.model_fields_set
    return settings.home_path if is_named or settings.sources_file.exists() or not demo.exists() else demo


def has_library(settings: Settings) -> bool:
    """Return whether there is a library already, as far as can be told without opening it."""
    return settings.database_url is not None or (settings.home_path / "postgres").exists()


def existing_library(home: Path | None = None) -> Settings:
    """Return the settings of a library that is there: what looks after one must not make one by a slip of the pen.

    Raises ConfigurationError.
    """
    settings = library_settings(home)
    if not has_library(settings):
        raise ConfigurationError(f"there is no library in {settings.home_path}: name its home with --home")
    return settings
