import pytest

from lib.errors import ConfigurationError
from lib.scraping.programs import find_browser


def test_a_configured_browser_is_taken_as_it_is(tmp_path):
    program = tmp_path / "my browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_browser(program) == program


def test_a_configured_browser_that_cannot_run_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"VITRINE_BROWSER.*nothing"):
        find_browser(tmp_path / "nothing")


@pytest.mark.browser
def test_a_browser_is_found_by_itself():
    assert find_browser().is_file()
