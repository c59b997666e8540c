"""One scrape + derive under ``vitrine up``, some of whose processes are killed at random moments on the way.

The part of the user: asks the API for a scrape and, when that is done, for the derived results; asks again only what
was not acknowledged; and starts ``vitrine up`` again when it has ended. Nothing else is done by hand.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.prove import verdict, victims
from tests.prove.product import DatabaseAway, Product
from tests.prove.victims import TREE

TICK_S = 0.1
DRAIN_LIMIT_S = 60.0
SETTLE_LIMIT_S = 600.0
CALM_S = 1.5  # so long nothing may be under way before the library is looked at
# How long a victim that comes and goes is left alone at most, once it is there; the others die after a pause.
LIFE_S = {"run": 20.0, "Chromium": 4.0}
LONGEST_PAUSE_S = 8.0
APPEARANCE_LIMIT_S = 180.0
START_LIMIT_S = 300.0
ASK_EVERY_S = 3.0


@dataclass
class Outcome:
    """What was killed in a cycle, and how it went on from there."""

    kills: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)
    drain_s: float = 0.0
    settle_s: float = 0.0
    troubles: list[str] = field(default_factory=list)


@dataclass
class Cycle:
    """A cycle under way."""

    product: Product
    choice: random.Random
    outcome: Outcome = field(default_factory=Outcome)
    asked: set[str] = field(default_factory=set)
    started: float = field(default_factory=time.monotonic)
    next_ask: float = 0.0

    def play(self, kills: Sequence[tuple[str, ...]]) -> Outcome:
        """Run a cycle in which these groups of victims die, one group after the other; return when all is calm."""
        deadline = time.monotonic() + START_LIMIT_S
        while "scrape" not in self.asked and time.monotonic() < deadline:
            self._tick()
        for group in kills:
            self._strike(group)
        self._settle()
        return self.outcome

    def _strike(self, group: tuple[str, ...]) -> None:
        """Wait a random while, then kill the whole group at once. A group that never shows up is not counted."""
        self._wait(self.choice.uniform(0, LONGEST_PAUSE_S))
        deadline = time.monotonic() + APPEARANCE_LIMIT_S
        while time.monotonic() < deadline:
            if all(victims.find(self.product.home, victim) for victim in group):
                self._wait(self.choice.uniform(0, min(LIFE_S.get(victim, 1.0) for victim in group)))
                if all(victims.find(self.product.home, victim) for victim in group):
                    self._kill(group)
                    return
            elif self._is_complete():
                return
            self._tick()

    def _kill(self, group: tuple[str, ...]) -> None:
        killed = [line for victim in group for line in victims.kill(self.product.home, victim, self.choice)]
        if killed:
            self.outcome.kills[_name(group)] += 1
        self._note(f"killed {' + '.join(group)}: {killed if TREE not in group else len(killed)}")

    def _settle(self) -> None:
        """Wait until everything is up, what was open has ended, and the library is complete."""
        began = time.monotonic()
        while not self.product.is_up and time.monotonic() < began + SETTLE_LIMIT_S:
            self._tick()
        up_since = time.monotonic()
        before = self._open_runs()
        while (self._open_runs() & before) and time.monotonic() < up_since + SETTLE_LIMIT_S:
            self._tick()
        self.outcome.drain_s = time.monotonic() - up_since
        self._note(f"up again after {up_since - began:.1f} s, drained after {self.outcome.drain_s:.1f} s more")
        if self.outcome.drain_s > DRAIN_LIMIT_S:
            self.outcome.troubles.append(f"the queue took {self.outcome.drain_s:.0f} s to drain")
        calm_since = None
        while calm_since is None or time.monotonic() < calm_since + CALM_S:
            if time.monotonic() > began + SETTLE_LIMIT_S:
                self.outcome.troubles.append(f"not complete after {SETTLE_LIMIT_S:.0f} s: {self._state()}")
                break
            is_calm = self._is_complete() and not self._open_runs() and {"scrape", "derive"} <= self.asked
            calm_since = (calm_since or time.monotonic()) if is_calm else None
            self._tick()
        self.outcome.settle_s = time.monotonic() - began
        self._note(f"complete after {self.outcome.settle_s:.1f} s")

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._tick()

    def _tick(self) -> None:
        if self.product.supervisor is not None and (code := self.product.supervisor.poll()) is not None:
            self._note(f"vitrine up ended with {code}; starting it again")
        self.product.up()
        self._ask()
        time.sleep(TICK_S)

    def _ask(self) -> None:
        job = "derive" if "scrape" in self.asked else "scrape"
        if job in self.asked or time.monotonic() < self.next_ask or (job == "derive" and not self._is_scraped()):
            return
        if self.product.ask_for(job):
            self.asked.add(job)
            self._note(f"{job} acknowledged")
        self.next_ask = time.monotonic() + ASK_EVERY_S

    def _is_scraped(self) -> bool:
        try:
            return verdict.is_scraped(self.product)
        except DatabaseAway:
            return False

    def _is_complete(self) -> bool:
        try:
            return verdict.is_complete(self.product)
        except DatabaseAway:
            return False

    def _open_runs(self) -> set[str]:
        try:
            return self.product.open_runs()
        except DatabaseAway:
            return {"unknown: no database"}

    def _state(self) -> str:
        try:
            return verdict.state(self.product)
        except DatabaseAway as error:
            return f"no database: {error}"

    def _note(self, text: str) -> None:
        self.outcome.history.append(f"{time.monotonic() - self.started:6.1f} s  {text}")


def _name(group: tuple[str, ...]) -> str:
    return group[0] if len(group) == 1 else "several at once"
