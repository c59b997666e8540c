"""The settings, read from the environment (and a ``.env`` file) in one place.

Which models serve is not a setting: it is a fact of the library, kept in its database. ``profile`` only says
what a *new* library starts with.
"""

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Profile = Literal["packaged", "standard"]
Precision = Literal["auto", "f32", "bf16"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(BaseSettings):
    """Everything a person can set; each field is the variable ``VITRINE_<NAME>`` unless it says otherwise."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(Path(".vitrine"), description="Where the library lives: database, objects, models, logs.")
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "VITRINE_DATABASE_URL"),
        description="A Postgres of one's own (pgvector 0.8.4 or newer); without it the embedded server is used.",
    )
    profile: Profile = Field("standard", description="The models a new library starts with.")
    sources_file: Path = Field(Path("sources.yaml"), description="Sites to scrape, upserted at start.")
    url: str | None = Field(None, description="Where the command line finds Vitrine, if not on this machine.")
    api_key: SecretStr | None = Field(None, description="The key that the command line shows to the API.")
    api_host: str = Field("127.0.0.1", description="Where the query API listens.")
    api_port: int = Field(8004, ge=1, le=65535, description="Port of the query API.")
    allowed_hosts: str = Field(
        "", description="Host names besides localhost and api_host by which the API may be addressed, comma-separated."
    )
    allowed_origins: str = Field(
        "",
        description="Origins (https://gallery.example) whose pages may use the API from a browser, comma-separated.",
    )
    open_without_keys: bool = Field(
        False,
        description="Answer beyond loopback even while there are no API keys: something in front decides who may ask.",
    )
    requests_per_minute: int = Field(
        6000,
        ge=0,
        description="How often one API key, or one address without a key, may ask in a minute; 0: without limit.",
    )
    dagster_port: int = Field(3000, ge=1, le=65535, description="Port of the Dagster UI.")
    dagster_url: str | None = Field(None, description="The Dagster UI, if it is not on this machine.")
    dagster_public_url: str | None = Field(
        None, description="The Dagster UI as a person's browser reaches it, where that is another address."
    )
    allowed_addresses: str = Field(
        "",
        description="Private or loopback ip:port pairs that the scraper may connect to all the same, comma-separated.",
    )
    user_agent: str = Field(
        "Vitrine/0.1 (personal image library; respects robots.txt and noai)",
        description="How the scraper introduces itself; put your own contact here.",
    )
    browser: Path | None = Field(None, description="A Chromium or Chrome program; found by itself when unset.")
    device: str = Field("auto", description="Where models run: auto, cpu, cuda, mps.")
    precision: Precision = Field(
        "auto",
        description="Number format of the standard encoders: auto (bf16 where the CPU multiplies it), f32, bf16.",
    )
    max_image_bytes: int = Field(50_000_000, gt=0, description="A larger image file is refused.")
    max_image_pixels: int = Field(120_000_000, gt=0, description="A picture with more pixels (all frames) is refused.")
    restore_days: int = Field(7, ge=0, description="How long a cleared library can be restored.")
    log_level: LogLevel = Field("INFO", description="What is logged: lines of this weight and above.")
    kept_runs: int = Field(1000, ge=1, description="How many finished Dagster runs are kept; older ones are pruned.")
    min_free_bytes: int = Field(500_000_000, ge=0, description="Scraping pauses below this much free disk.")

    @field_validator("database_url", "api_key")
    @classmethod
    def _empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        # An empty variable is how one process tells another to use the embedded server, whatever .env says.
        return value if value and value.get_secret_value() else None

    @field_validator("url")
    @classmethod
    def _empty_is_here(cls, value: str | None) -> str | None:
        return value or None

    @cached_property
    def home_path(self) -> Path:
        """The library's home as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def dagster_endpoint(self) -> str:
        """Base URL of the Dagster UI and its GraphQL."""
        return self.dagster_url or f"http://127.0.0.1:{self.dagster_port}"

    @property
    def dagster_page(self) -> str:
        """Base URL of the Dagster UI for links that a person follows."""
        return self.dagster_public_url or self.dagster_endpoint
