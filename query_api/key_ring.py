"""The API keys of the library as one process knows them: read every few seconds, looked up without the database."""

import threading
from collections.abc import Mapping

from sqlalchemy.orm import Session

from lib.storage.api_keys import KnownKey, keys_by_hash, note_use, secret_hash


class KeyRing:
    """Which secrets open the API. Safe to use from several threads.

    ``is_known`` is False until the database has been asked: then nobody can say yet whether keys are demanded.
    """

    def __init__(self) -> None:
        self._keys: Mapping[str, KnownKey] | None = None
        self._used: set[str] = set()
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether the library's keys have been read."""
        return self._keys is not None

    @property
    def is_empty(self) -> bool:
        """Whether the library is known to have no keys."""
        return self._keys is not None and not self._keys

    def find(self, secret: str) -> KnownKey | None:
        """Return the key that a secret is of, and remember that it was used."""
        digest = secret_hash(secret)
        key = (self._keys or {}).get(digest)
        if key is not None:
            with self._lock:
                self._used.add(digest)
        return key

    def refresh(self, session: Session) -> None:
        """Read the keys, and write down which were used since the last time."""
        with self._lock:
            used, self._used = self._used, set()
        if used:
            note_use(session, used)
            session.commit()
        self._keys = keys_by_hash(session)
