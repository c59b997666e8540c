"""The environment, read in one place."""

import pytest

from lib.settings import Settings


def test_an_empty_database_url_means_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert Settings().database_url is None


def test_a_password_does_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@host/db")
    settings = Settings()
    assert settings.database_url is not None
    assert "secret" not in repr(settings)


def test_the_demo_leaves_a_database_of_ones_own_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@host/db")
    assert Settings(DATABASE_URL=None).database_url is None
