"""``python -m lib.cli`` is the same as ``vitrine``."""

from lib.cli.main import app

if __name__ == "__main__":
    app()
