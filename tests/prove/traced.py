"""A process under strace: which system calls it made, in which order, or which of them were made to fail.

Belongs here: starting strace and reading what it writes. What the calls do to a disk is disk_model.py.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WATCHED = "%file,%desc"  # all calls that take a path or a descriptor, whatever they are: one that is new is not missed
LIMIT_S = 60.0
_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)(?P<remark>.*)")
_STRING = re.compile(r'"(\\x[0-9a-f]{2})*"')
_UNFINISHED, _RESUMED = re.compile(r"(.*) <unfinished \.\.\.>$"), re.compile(r"<\.\.\. \w+ resumed>(.*)")


@dataclass(frozen=True)
class Call:
    """A system call that has ended: arguments as strace prints them, strings as bytes; ``result`` < 0 is an error."""

    name: str
    arguments: tuple[str | bytes, ...]
    result: int
    is_injected: bool


@dataclass(frozen=True)
class Traced:
    """How a traced process ended, what it said, and the calls it made."""

    code: int
    said: str
    complained: str
    calls: Sequence[Call]


@cache
def why_not() -> str | None:
    """Return why no process can be traced on this machine, or None if that is possible."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return f"strace: {tried.stderr.strip()}" if tried.returncode else None


def run(words: Sequence[str], log: Path, *, watched: str = WATCHED, inject: str | None = None) -> Traced:
    """Run ``python -S -m WORDS`` under strace and return what it did, threads included.

    ``inject`` is what strace's option of that name takes: a call, what happens to it, and at which time.
    """
    options = ["-f", "-xx", "-s", "1000000", "-o", str(log), "-e", f"trace={watched}"]
    if inject is not None:
        options += ["-e", f"inject={inject}"]
        if ":signal=" not in inject:  # strace 6.1 inflicts no signals on calls that it has filtered
            options.append("--seccomp-bpf")
    program = ["strace", *options, sys.executable, "-S", "-m", *words]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    calls = tuple(calls_in(log.read_text().splitlines()))
    return Traced(ended.returncode, ended.stdout, ended.stderr, calls)


def calls_in(lines: Sequence[str]) -> Iterator[Call]:
    """Yield the calls of a log of strace (``-f -xx``) in the order in which they ended.

    >>> [call] = calls_in(['7 link("\\\\x61", "\\\\x62") = 0'])
    >>> call.name, call.arguments, call.result
    ('link', (b'a', b'b'), 0)
    """
    begun: dict[str, str] = {}
    for line in lines:
        if (parts := _LINE.match(line)) is None:
            continue
        pid, rest = parts["pid"], parts["rest"]
        if unfinished := _UNFINISHED.match(rest):
            begun[pid] = unfinished[1]
            continue
        if resumed := _RESUMED.match(rest):
            rest = begun.pop(pid) + resumed[1]
        if call := _CALL.match(rest):
            result = int(call["result"]) if call["result"] != "?" else -1
            arguments = tuple(map(_argument, call["arguments"].split(", ")))
            yield Call(call["name"], arguments, result, "INJECTED" in call["remark"])


def _argument(text: str) -> str | bytes:
    """Return a string as its bytes, which strace has printed in hex, and all else as it is."""
    if text.endswith('"...'):
        raise ValueError(f"strace has cut an argument short: {text[:80]}")
    return bytes.fromhex(text.strip('"').replace("\\x", "")) if _STRING.fullmatch(text) else text
