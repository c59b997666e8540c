"""``python -m demo``: the main job from beginning to end, on a web site of our own."""

import argparse
import signal
import sys

from demo.run import run
from lib.errors import VitrineError


def main() -> int:
    """Run the demo; an error of ours is one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--profile", choices=["packaged", "standard"], default="packaged")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(parser.parse_args().profile)
    except VitrineError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
