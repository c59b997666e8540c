"""Proofs that need no running product: hostile pictures for the decoder, addresses for the guard."""

import random
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.images.decoding import Decoder
from tests.prove import addresses, hostile_images
from tests.prove.hostile_images import Picture, Trial, generated, mutants, ordinary, pillows_own
from tests.prove.table import Results

Say = Callable[[str], None]
ADDRESSES_A_TRY, MUTANTS_A_TRY = 20_000, 1_000


def guarded_addresses(results: Results, tries: int, seed: int, say: Say) -> None:
    """Ask about 20,000 addresses a try, and hold the answers against IANA's registries."""
    blocks = addresses.registries()
    for address in addresses.addresses(ADDRESSES_A_TRY * tries, random.Random(seed)):
        failed = addresses.disagrees(address, blocks)
        results.count("an address is connected to if IANA's registries call it public", failed=failed)
        if failed:
            say(f"{address} is judged otherwise than by the registries")


def hostile_pictures(results: Results, tries: int, seed: int, say: Say, *, downloads: bool = True) -> None:
    """Decode all that was made to do harm, Pillow's own tests unless nothing is to be downloaded, and mutants."""
    with tempfile.TemporaryDirectory() as folder, Decoder() as decoder:
        place = Path(folder)

        def decode_all(kind: str, pictures: Iterable[Picture]) -> None:
            trials = [hostile_images.tried(decoder, place / "picture", picture) for picture in pictures]
            hostile_images.count(results, kind, trials)
            _tell(say, kind, trials)

        decode_all("pictures made to harm", generated(seed))
        seeds = ordinary(seed)
        if downloads:
            own = pillows_own(place)
            decode_all("pictures of Pillow's tests", own)
            seeds += [picture for picture in own if len(picture[1]) < 200_000]
        decode_all("mutated pictures", mutants(seeds, MUTANTS_A_TRY * tries, random.Random(seed)))


def _tell(say: Say, kind: str, trials: list[Trial]) -> None:
    read = sum(trial.outcome == "read" for trial in trials)
    slowest = max(trials, key=lambda trial: trial.seconds)
    ended, peak = sum(trial.peak_bytes == 0 for trial in trials), max(trial.peak_bytes for trial in trials)
    say(
        f"{kind}: {read:,} of {len(trials):,} read, {ended} ended the decoder, which had {peak / 1e6:.0f} MB at most; "
        f"slowest {slowest.seconds:.1f} s ({slowest.name})"
    )
    for trial in trials:
        if trial.outcome.startswith("untyped"):
            say(f"{trial.name}: {trial.outcome}")
