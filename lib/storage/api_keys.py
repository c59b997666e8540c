"""API keys: made, looked up by the hash of their secret, taken back.

A secret has 256 random bits, so a plain SHA-256 keeps it: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import AlreadyExists, ConfigurationError, NotFound
from lib.storage.tables import ApiKey

PREFIX = "vitrine_"  # so that scanners of leaked secrets, and people, know one when they see it
SECRET_BYTES = 32
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Scope(StrEnum):
    """What a key allows. Each allows what those before it do."""

    read = "read"
    write = "write"
    admin = "admin"

    def allows(self, needed: "Scope") -> bool:
        """Return whether this scope is enough.

        >>> Scope.write.allows(Scope.read), Scope.write.allows(Scope.admin)
        (True, False)
        """
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class KnownKey:
    """A key without its secret."""

    name: str
    scope: Scope


def create_key(session: Session, name: str, scope: Scope) -> str:
    """Make a key and return its secret, which is shown this once and kept nowhere.

    Raises AlreadyExists, and ConfigurationError for a name that is no slug.
    """
    if not NAME.fullmatch(name):
        raise ConfigurationError("a key's name is small letters, digits and hyphens, 63 at most")
    if session.scalar(sa.select(ApiKey.id).where(ApiKey.name == name)) is not None:
        raise AlreadyExists(f"there is a key {name} already: revoke it first, or choose another name")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    session.add(ApiKey(name=name, secret_sha256=secret_hash(secret), scopes=[scope.value]))
    session.flush()
    return secret


def revoke_key(session: Session, name: str) -> None:
    """Take a key back. Raises NotFound."""
    removed = session.execute(sa.delete(ApiKey).where(ApiKey.name == name).returning(ApiKey.id))
    if removed.first() is None:
        raise NotFound(f"there is no key {name}")


def all_keys(session: Session) -> Sequence[ApiKey]:
    """Return every key, by name."""
    return session.scalars(sa.select(ApiKey).order_by(ApiKey.name)).all()


def keys_by_hash(session: Session) -> dict[str, KnownKey]:
    """Return every key by the hash of its secret."""
    return {key.secret_sha256: KnownKey(key.name, max_scope(key.scopes)) for key in all_keys(session)}


def max_scope(scopes: Collection[str]) -> Scope:
    """Return the widest of some scopes.

    >>> max_scope(["admin", "read"]).value
    'admin'
    """
    return max((Scope(scope) for scope in scopes), key=list(Scope).index)


def note_use(session: Session, hashes: Collection[str]) -> None:
    """Write down that these keys have just been used."""
    session.execute(sa.update(ApiKey).where(ApiKey.secret_sha256.in_(hashes)).values(last_used_at=sa.func.now()))


def secret_hash(secret: str) -> str:
    """Return the SHA-256 of a secret, as hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
