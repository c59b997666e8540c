"""The matrix: which victims die how often, in which form of running the product, and what must hold afterwards.

Start reading here. A *session* keeps one library running under ``vitrine up`` and empties it between cycles, since a
start of Dagster costs more than a scrape of the small site; each cycle is one scrape + derive with several kills.
"""

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from demo import ledger
from demo.run import kept_port
from lib.cli.exit_codes import ExitCode
from tests.prove import verdict, victims
from tests.prove.cycle import Cycle, Outcome
from tests.prove.product import RUN_TIMEOUT_S, Product, run_to_the_end, site_process
from tests.prove.table import Results
from tests.prove.verdict import Reference
from tests.prove.victims import TREE, VICTIMS
from tests.snapshot import snapshot

KILLS_PER_CYCLE = 8
GROUP_SIZES = (2, 3, 4)
RUN_VICTIMS = ("run", "Chromium", "Postgres", TREE)
RUN_LENGTH_S = 20.0  # of an undisturbed `vitrine run scrape derive` of the small site; a kill falls somewhere in it
STARTS_LIMIT = 15
SAME = "the same library as undisturbed"
DRAINS = "the queue of runs drains within 60 s"


@dataclass
class Proof:
    """Everything that the trials share."""

    root: Path
    seed: int
    reference: Reference
    say: Callable[[str], None]
    results: Results = field(default_factory=Results)

    def choice(self, *words: object) -> random.Random:
        """Return the generator of one cycle."""
        return random.Random(f"{self.seed} {words}")

    def product(self, name: str) -> Product:
        """Return a new library of that name."""
        shutil.rmtree(self.root / name, ignore_errors=True)  # of an earlier proof in this folder
        return Product(self.root / name, self.reference.site_port)


@contextmanager
def proof(
    seed: int, say: Callable[[str], None], root: Path | None = None, results: Results | None = None
) -> Iterator[Proof]:
    """Serve the small site, make the undisturbed library, and yield both.

    In a ``root`` of one's own the undisturbed library of an earlier proof is used again, and all stays; without one,
    the folder stays if anything failed.
    """
    folder = root or Path(tempfile.mkdtemp(prefix="vitrine-prove-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)  # the database server's own user passes through
    with site_process(folder / "site.jsonl", kept_port(folder / "site_port")):
        made = Proof(folder, seed, _reference(folder), say, results or Results())
        try:
            yield made
        finally:
            if root is None and not made.results.has_failures:
                shutil.rmtree(folder)
            else:
                say(f"SEED={seed}; libraries and logs are kept in {folder}")


def _reference(root: Path) -> Reference:
    """Return the undisturbed library, made now unless it is there; it must be what the site's answer sheet says."""
    port, is_made = int((root / "site_port").read_text()), root / "undisturbed.made"
    undisturbed = Product(root / "undisturbed", port)
    if not is_made.exists() and (code := run_to_the_end(undisturbed)):
        raise RuntimeError(f"the undisturbed run ended with {code}: see {undisturbed.home}")
    reference = Reference(snapshot(undisturbed.home, port), port, root / "site.jsonl")
    if found := verdict.differences(undisturbed, reference):
        raise RuntimeError(f"the undisturbed library is wrong: {found}")
    is_made.touch()
    return reference


@contextmanager
def session(proof: Proof, name: str) -> Iterator[Product]:
    """Keep a library running; at the end a scrape must download nothing, and Ctrl-C must leave no process."""
    product = proof.product(name)
    product.up()
    try:
        yield product
        _end(proof, name, product)
    finally:
        victims.kill(product.home, TREE, proof.choice())  # what is left when a trial of ours ends early


def _end(proof: Proof, name: str, product: Product) -> None:
    second_supervisor(proof, product)
    since = len(ledger.read(proof.reference.site_log))
    undisturbed = Cycle(product, proof.choice(name, "end")).play(())
    sent = verdict.downloads(proof.reference.site_log, since)
    report(proof, "a scrape afterwards downloads nothing", [*undisturbed.troubles, *sent])
    _press_ctrl_c(proof, product)


def _press_ctrl_c(proof: Proof, product: Product) -> None:
    code, left = product.down(), product.leftovers()
    report(proof, "Ctrl-C leaves no process behind", [*([f"exit code {code}"] if code else []), *left])


def short_form(proof: Proof) -> None:
    """One cycle in which the browser dies, then the run, then all servers and the database at once."""
    product, choice = proof.product("short"), proof.choice("short")
    servers = tuple(victim for victim in VICTIMS if victim not in ("Chromium", "run"))
    product.up()
    try:
        outcome = Cycle(product, choice).play([("Chromium",), ("run",), servers])
        _judge(proof, "short", product, outcome)
        _press_ctrl_c(proof, product)
    finally:
        victims.kill(product.home, TREE, choice)


def report(proof: Proof, name: str, troubles: Sequence[str], tries: int = 1) -> None:
    """Count a property, and say what failed."""
    proof.results.count(name, tries, failed=bool(troubles))
    for trouble in troubles:
        proof.say(f"FAILED {name}: {trouble}")


def kills_alone(proof: Proof, tries: int, wanted: Sequence[str] = VICTIMS) -> None:
    """Kill each victim ``tries`` times, one at a time, several in a cycle."""
    left = Counter(dict.fromkeys(wanted, tries))

    def draw(choice: random.Random) -> list[tuple[str, ...]]:
        group = [victim for victim in wanted for _ in range(min(2, left[victim]))]
        choice.shuffle(group)
        # Chromium lives at the beginning only.
        return [(victim,) for victim in sorted(group[:KILLS_PER_CYCLE], key=lambda victim: victim != "Chromium")]

    def done(outcome: Outcome) -> bool:
        left.subtract(outcome.kills)
        return max(left.values()) <= 0

    _cycles(proof, "alone", draw, done)


def kills_together(proof: Proof, tries: int) -> None:
    """Kill several victims at the same moment, ``tries`` times."""
    counted: Counter[str] = Counter()

    def draw(choice: random.Random) -> list[tuple[str, ...]]:
        left = min(2, tries - counted["several at once"])
        return [tuple(choice.sample(VICTIMS[:5] + VICTIMS[6:], choice.choice(GROUP_SIZES))) for _ in range(left)]

    def done(outcome: Outcome) -> bool:
        counted.update(outcome.kills)
        return counted["several at once"] >= tries

    _cycles(proof, "together", draw, done)


def kills_of_the_tree(proof: Proof, tries: int) -> None:
    """Kill everything at once, the supervisor and the database included, ``tries`` times."""
    counted: Counter[str] = Counter()

    def draw(_choice: random.Random) -> list[tuple[str, ...]]:
        return [(TREE,)] * min(2, tries - counted[TREE])

    def done(outcome: Outcome) -> bool:
        counted.update(outcome.kills)
        return counted[TREE] >= tries

    _cycles(proof, "tree", draw, done)


def _cycles(
    proof: Proof, name: str, draw: Callable[[random.Random], list[tuple[str, ...]]], done: Callable[[Outcome], bool]
) -> None:
    """Play cycles in one session until ``done`` says that enough died."""
    number, is_done = 0, False
    while not is_done:
        with session(proof, f"{name}-{number}") as product:
            while not is_done:
                choice = proof.choice(name, number)
                outcome = Cycle(product, choice).play(draw(choice))
                is_done, number = done(outcome), number + 1
                if not _judge(proof, f"{name} {number}", product, outcome):
                    break  # what comes after would inherit the fault
                if not is_done:
                    product.purge()


def _judge(proof: Proof, name: str, product: Product, outcome: Outcome) -> bool:
    """Count a cycle, say how it went, and return whether all was well."""
    wrong = verdict.differences(product, proof.reference)
    proof.say(f"{name}: {dict(outcome.kills)}, drained {outcome.drain_s:.0f} s, complete {outcome.settle_s:.0f} s")
    if wrong or outcome.troubles:
        proof.say("\n".join(outcome.history))
    proof.results.drains_s.append(outcome.drain_s)
    proof.results.settles_s.append(outcome.settle_s)
    drained = [trouble for trouble in outcome.troubles if "drain" in trouble]
    others = [trouble for trouble in outcome.troubles if "drain" not in trouble]
    for victim, kills in outcome.kills.items():
        report(proof, f"kill -9 of {victim} (up): {SAME}", [*wrong, *others], kills)
        report(proof, DRAINS, drained, kills)
    return not wrong and not others  # a slow queue leaves no fault behind


def kills_of_runs(proof: Proof, tries: int, kills_per_library: int = 4) -> None:
    """Kill what ``vitrine run scrape derive`` consists of, ``tries`` times each, until a run ends well."""
    victims_left = [victim for victim in RUN_VICTIMS for _ in range(tries)]
    proof.choice("runs").shuffle(victims_left)
    for number in range(0, len(victims_left), kills_per_library):
        batch = victims_left[number : number + kills_per_library]
        product, choice = proof.product(f"runs-{number}"), proof.choice("runs", number)
        killed = Counter(victim for victim in batch if _killed_in_a_run(product, victim, choice))
        troubles = _end_well(product) or verdict.differences(product, proof.reference)
        proof.say(f"runs {number}: {dict(killed)}")
        for victim, kills in killed.items():
            report(proof, f"kill -9 of {victim} (run): {SAME}", troubles, kills)
        if not troubles:
            shutil.rmtree(product.home)


def _killed_in_a_run(product: Product, victim: str, choice: random.Random) -> bool:
    """Start a run, kill the victim at a random moment, wait for the end; a run that was faster counts for nothing."""
    running = product.command("run", "scrape", "derive", log="run")
    deadline = time.monotonic() + choice.uniform(0, RUN_LENGTH_S)
    hit = False
    while running.poll() is None and not hit:
        if time.monotonic() >= deadline or victim == "Chromium":
            if victim == "Chromium" and victims.find(product.home, victim):
                time.sleep(choice.uniform(0, 3))
            hit = bool(victims.kill(product.home, victim, choice))
        time.sleep(0.05)
    running.wait(RUN_TIMEOUT_S)
    return hit


def _end_well(product: Product) -> list[str]:
    for _ in range(STARTS_LIMIT):
        if run_to_the_end(product) == 0 and verdict.ended_complete(product):
            return []
    return [f"`vitrine run scrape derive` did not end well {STARTS_LIMIT} times"]


def two_pipelines(proof: Proof, tries: int) -> None:
    """Two processes scrape and derive one new library at once."""
    for number in range(tries):
        product, choice = proof.product(f"two-{number}"), proof.choice("two", number)
        both = []
        for name in ("first", "second"):
            both.append(product.command("run", "scrape", "derive", log=name))
            time.sleep(choice.uniform(0, 6))
        codes = [running.wait(RUN_TIMEOUT_S) for running in both]
        troubles = [f"exit codes {codes}"] if any(codes) else verdict.differences(product, proof.reference)
        proof.say(f"two pipelines {number}: exit codes {codes}")
        report(proof, f"two pipelines at once: {SAME}", troubles)
        if not troubles:
            shutil.rmtree(product.home)


def second_supervisor(proof: Proof, product: Product) -> None:
    """A second ``vitrine up`` on the same home, on other ports, is refused."""
    second = Product(product.home, product.site_port).command("up", log="second-up")
    code, said = second.wait(60), (product.home / "second-up.log").read_text()
    troubles = [] if code == ExitCode.USAGE and "another vitrine up" in said else [f"exit code {code}: {said[-300:]}"]
    report(proof, "a second vitrine up on the same home is refused", troubles)
