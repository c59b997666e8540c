"""The audit log: who changed what, one JSON line a change, in ``audit.jsonl`` of the home.

Lines are only ever appended, each by one write, so that processes may share the file and a crash cuts at most the last;
nothing here rotates it. It holds no key, no query and no body.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

FILE_NAME = "audit.jsonl"
COMMAND_LINE = "the command line"
OWNER_ONLY = 0o600


def record(home: Path, who: str, what: str, **details: str | int | None) -> None:
    """Append a line: the time (UTC, ISO 8601), who did it, what was done, and details that are not None.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    known = {name: value for name, value in details.items() if value is not None}
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "who": who, "what": what, **known})
    descriptor = os.open(home / FILE_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, OWNER_ONLY)
    try:
        os.write(descriptor, (line + "\n").encode())
    finally:
        os.close(descriptor)
