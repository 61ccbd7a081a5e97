"""The application's role, and exactly what it may do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen

from deskstore.adapters.postgres.addresses import driven
from deskstore.adapters.postgres.routines import quoted
from deskstore.adapters.postgres.sealing import seals
from deskstore.domain.errors import ConfigurationError

DEFAULT_ROLE: Final = "app_user"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_ROUNDS: Final = 4096  #: what PostgreSQL itself uses


@frozen(kw_only=True)
class AppRole:
    """Whom the application logs in as: bound by row-level security, and owner of nothing."""

    name: str = DEFAULT_ROLE
    password: str | None = field(default=None, repr=False)  #: None: somebody else sets it

    def creation(self) -> str:
        """What makes it. The password travels as its verifier, so that no log of the server holds it."""
        login = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
        return f"CREATE ROLE {quoted(self.name)} {login}" + (f" PASSWORD '{_verifier(self.password)}'" if self.password else "")


def app_role_of(name: str | None, url: str | None) -> AppRole:
    """
    The role of that name, else the one that the application's own address logs in as, else the usual one.

    It has the password that the address gives it, where that is its address.
    """
    known = driven(url) if url else None
    user = known.username if known is not None else None
    chosen = name or user or DEFAULT_ROLE
    if not _NAME.fullmatch(chosen):
        raise ConfigurationError(
            f"the application's role is {chosen!r}: choose one of 1 to 63 letters, digits and underscores with --app-role"
        )
    password = known.password if known is not None and user == chosen else None
    return AppRole(name=chosen, password=None if password is None else str(password))


def privileges(schema: str, role: str) -> Iterator[str]:
    """What gives the role exactly what it needs, and nobody else anything."""
    place, who = quoted(schema), quoted(role)
    yield f"REVOKE ALL ON SCHEMA {place} FROM PUBLIC, {who}"
    for things in ("TABLES", "SEQUENCES", "ROUTINES"):
        yield f"REVOKE ALL ON ALL {things} IN SCHEMA {place} FROM PUBLIC, {who}"
    yield f"GRANT USAGE ON SCHEMA {place} TO {who}"
    yield f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA {place} TO {who}"
    for seal in seals():
        yield f"GRANT {', '.join(seal.may)} ON {place}.{seal.table} TO {who}"


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFKC", password).encode(), salt, _ROUNDS)
    client, server = (hmac.digest(salted, label, "sha256") for label in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    return f"SCRAM-SHA-256${_ROUNDS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
