"""``python -m lib.cli`` is the same as ``vitrine``."""

from lib.cli.main import main

if __name__ == "__main__":
    main()
