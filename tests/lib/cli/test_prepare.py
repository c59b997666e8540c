"""`vitrine prepare`: what has to be true before services that something else starts can start."""

import pytest
import sqlalchemy as sa
import yaml

from lib.cli.prepare import prepare
from lib.errors import ConfigurationError
from lib.settings import Settings
from lib.storage import sources
from lib.storage.library import open_library
from tests.demo_library import open_folder

SITE = {"name": "museum", "start_urls": ["https://museum.example/"]}


def test_prepare_makes_both_databases_and_reads_the_sources_as_often_as_it_is_asked() -> None:
    with open_folder("prepared") as home:
        home.mkdir()
        sources_file = home / "sources.yaml"
        sources_file.write_text(yaml.safe_dump({"sources": [SITE]}))
        settings = Settings(home=home, sources_file=sources_file, profile="packaged", DATABASE_URL=None)
        with open_library(settings) as library:
            prepare(settings)
            prepare(settings)
            with library.database.session() as session:
                assert [source.name for source in sources.enabled_sources(session)] == ["museum"]
            dagster = sa.create_engine(library.urls.dagster)
            assert {"runs", "event_logs", "instigators"} <= set(sa.inspect(dagster).get_table_names())
            dagster.dispose()
        assert (home / "dagster" / "dagster.yaml").is_file()


def test_a_sources_file_with_a_mistake_stops_the_start_and_names_it() -> None:
    with open_folder("mistaken") as home:
        home.mkdir()
        sources_file = home / "sources.yaml"
        sources_file.write_text(yaml.safe_dump({"sources": [{**SITE, "start_url": "https://museum.example/"}]}))
        with pytest.raises(ConfigurationError, match=r"museum.*start_url"):
            prepare(Settings(home=home, sources_file=sources_file, profile="packaged", DATABASE_URL=None))
