"""``python -m tests.prove [--tries 10] [--seed N] [PART ...]``: prove it, print a table; exit 1 if anything failed."""

import argparse
import random
import sys
import time
from pathlib import Path

from rich.console import Console

from tests.prove import (
    attacks,
    browser_crashes,
    full_disks,
    matrix,
    network_faults,
    power_cuts,
    syscalls,
    unreachable,
)
from tests.prove.memory import flat_memory
from tests.prove.random_kills import random_kills
from tests.prove.table import Results

KILLS = {
    "alone": matrix.kills_alone,
    "together": matrix.kills_together,
    "tree": matrix.kills_of_the_tree,
    "runs": matrix.kills_of_runs,
    "two": matrix.two_pipelines,
}
ATTACKS = {
    "addresses": attacks.guarded_addresses,
    "reach": unreachable.prove,
    "network": network_faults.prove,
    "browser": browser_crashes.prove,
    "pictures": attacks.hostile_pictures,
}
CRASHES = {
    "power": power_cuts.every_state,
    "syscalls": syscalls.every_call,
    "disk": full_disks.full_disks,
    "kills": random_kills,
}
ALONE = {**ATTACKS, **CRASHES, "memory": flat_memory}  # these need no running product
PARTS = (*ALONE, *KILLS)


def main() -> int:
    """Run the parts named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--tries", type=int, default=10, help="how often each is tried (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="repeats an earlier choice")
    parser.add_argument("--root", type=Path, help="where libraries are made; an undisturbed one there is used again")
    wanted = parser.parse_args()
    if unknown := set(wanted.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    console = Console(width=110)
    started = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[{time.monotonic() - started:6.0f} s] {text}", markup=False, highlight=False, soft_wrap=True)

    say(f"SEED={wanted.seed} TRIES={wanted.tries}")
    results = Results()
    parts = wanted.parts or PARTS
    for part in (part for part in parts if part in ALONE):
        ALONE[part](results, wanted.tries, wanted.seed, say)
    if kills := [part for part in parts if part in KILLS]:
        with matrix.proof(wanted.seed, say, wanted.root, results) as proof:
            for part in kills:
                KILLS[part](proof, wanted.tries)
    console.print(results.table())
    if results.drains_s:
        say(f"slowest: drained {max(results.drains_s):.0f} s, complete {max(results.settles_s):.0f} s")
    return 1 if results.has_failures else 0


if __name__ == "__main__":
    sys.exit(main())
