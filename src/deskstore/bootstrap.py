"""
Settings from the environment, and the storage they ask for.

The only module that knows every adapter. An adapter is imported when it was chosen and not before, so that files need no database driver.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, runtime_checkable

from attrs import Attribute, field, fields, frozen

from deskstore.domain.errors import ConfigurationError
from deskstore.domain.times import now

if TYPE_CHECKING:
    from deskstore.adapters.installed import Offer
    from deskstore.adapters.postgres.migrating import Migrations
    from deskstore.adapters.postgres.naive import NaiveDatabase
    from deskstore.domain.adapting import Adapter, Clock
    from deskstore.domain.ports import Storage


class StorageType(StrEnum):
    """Where the records of all companies are kept."""

    FILE = "file"
    HYBRID = "hybrid"
    POSTGRESQL = "postgresql"


_OURS: Final = frozenset[str](StorageType)
_OF_REDIS: Final = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")


class Pooler(StrEnum):
    """What stands between deskstore and PostgreSQL."""

    NONE = "none"  #: nothing, or a pooler that knows prepared statements, as PgBouncer does from 1.21 on
    TRANSACTION = "transaction"  #: one that lends a connection for a transaction, and knows no prepared statements


class LogLevel(StrEnum):
    """What the command line logs: this, and all that matters more."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How the command line writes its log."""

    TEXT = "text"
    JSON = "json"


def masked(url: str | None) -> str | None:
    """An address without its password."""
    if url is None:
        return None
    return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url))


def _without_secrets(url: str | None) -> str:
    return repr(masked(url))


# -- what a variable may say ---------------------------------------------------------------------------------------------------------------


def _one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def read(text: str) -> StrEnum:
        try:
            return kind(text.strip().lower())
        except ValueError as error:
            raise ValueError(f"is {text!r}; choose one of: {', '.join(kind)}") from error

    return read


def _storage_type(text: str) -> str:
    """One of ours, or else the name of a storage that a package offers; packages are looked for only then."""
    name = text.strip().lower()
    if name in _OURS:
        return StorageType(name)
    from deskstore.adapters.installed import installed

    known = [*StorageType, *sorted({one.name for one in installed()} - _OURS)]
    if name not in known:
        raise ValueError(f"is {text!r}; choose one of: {', '.join(known)}")
    return name


_ANSWERS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _yes_or_no(text: str) -> bool:
    if (answer := _ANSWERS.get(text.strip().lower())) is None:
        raise ValueError(f"is {text!r}; choose one of: true, false")
    return answer


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", text):
        raise ValueError(f"is {text!r}; write 1 to 63 letters, digits and underscores, a letter first")
    return text


def _number_of(kind: type[int] | type[float], least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not least <= value <= most:
            raise ValueError(f"is {text!r}; write a number from {least:g} to {most:g}")
        return value

    return read


def _url_of(*schemes: str, ends_in: str = "host/name") -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.partition("://")[0] not in schemes:  # the text may hold a password, so it is not shown
            raise ValueError(f"is not an address that deskstore knows; write it as {schemes[0]}://user:password@{ends_in}")
        return text

    return read


def _path(given: str | Path) -> Path:
    return Path(given)


def _setting(variable: str, read: Callable[[str], object], *, is_secret: bool = False) -> dict[str, object]:
    return {"variable": variable, "read": read, "is_secret": is_secret}


# -- settings ------------------------------------------------------------------------------------------------------------------------------


class Layer(NamedTuple):
    """Values by their variables, and what to call them when somebody asks where a value came from."""

    name: str  #: "environment", or "option"
    values: Mapping[str, str]


@frozen(kw_only=True)
class Settings:
    """What deskstore is told before it opens anything."""

    storage_type: StorageType | str = field(
        default=StorageType.FILE, metadata=_setting("STORAGE_TYPE", _storage_type)
    )  #: or another's name
    data_path: Path = field(default=Path("data"), converter=_path, metadata=_setting("DATA_PATH", _path))  #: of the files
    database_url: str | None = field(
        default=None,
        repr=_without_secrets,
        metadata=_setting("DATABASE_URL", _url_of("postgresql", "postgres", "postgresql+asyncpg"), is_secret=True),
    )
    owner_url: str | None = field(
        default=None,
        repr=_without_secrets,
        metadata=_setting("DESKSTORE_OWNER_URL", _url_of("postgresql", "postgres", "postgresql+asyncpg"), is_secret=True),
    )  #: of the same database, for whoever owns the tables: `deskstore db` alone uses it
    redis_url: str | None = field(
        default=None,
        repr=_without_secrets,
        metadata=_setting("REDIS_URL", _url_of(*_OF_REDIS, ends_in="host:6379/0"), is_secret=True),
    )
    hybrid_use_postgres: bool = field(default=False, metadata=_setting("HYBRID_USE_POSTGRES", _yes_or_no))
    schema: str = field(default="deskstore", metadata=_setting("DESKSTORE_SCHEMA", _name))  #: of the tables in PostgreSQL
    pooler: Pooler = field(default=Pooler.NONE, metadata=_setting("DESKSTORE_POOLER", _one_of(Pooler)))
    pool_size: int = field(default=10, metadata=_setting("DESKSTORE_POOL_SIZE", _number_of(int, 1, 1_000)))  #: connections to PostgreSQL
    timeout_s: float = field(default=10.0, metadata=_setting("DESKSTORE_TIMEOUT_S", _number_of(float, 0.1, 3_600)))  #: for PostgreSQL
    may_lose_commits: bool = field(default=False, metadata=_setting("DESKSTORE_MAY_LOSE_COMMITS", _yes_or_no))  #: a server that may forget
    otel: bool = field(default=False, metadata=_setting("DESKSTORE_OTEL", _yes_or_no))  #: spans and metrics by OpenTelemetry
    log_level: LogLevel = field(default=LogLevel.WARNING, metadata=_setting("DESKSTORE_LOG_LEVEL", _one_of(LogLevel)))
    log_format: LogFormat = field(default=LogFormat.TEXT, metadata=_setting("DESKSTORE_LOG_FORMAT", _one_of(LogFormat)))
    of_adapter: Mapping[str, str] = field(factory=dict[str, str], repr=False)  #: what a storage of another package is told, by variable
    origins: Mapping[str, str] = field(factory=dict[str, str], repr=False, eq=False)  #: variable -> its layer; not there: the default

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """
        The settings an environment asks for; a variable that is empty counts as missing.

        Raises:
            ConfigurationError: Values are not accepted; all of them are named, each with what to write instead.
        """
        return cls.from_layers([Layer(name="environment", values=os.environ if environ is None else environ)])

    @classmethod
    def from_layers(cls, layers: Sequence[Layer]) -> Settings:
        """The settings of several layers, where the first one that has a value decides; raises ConfigurationError."""
        values: dict[str, Any] = {}  # Any: each attribute has a type of its own, which its reader gives
        origins: dict[str, str] = {}
        faults = [*_unknown(layers)]
        for setting in _settings():
            variable = setting.metadata["variable"]
            if layer := _deciding(layers, variable):
                origins[variable] = layer.name
                try:
                    values[setting.name] = setting.metadata["read"](layer.values[variable])
                except ValueError as error:
                    faults.append(f"{variable} {error}")
        if faults:
            raise ConfigurationError("; ".join(faults))
        told: dict[str, str] = {}
        for variable in _variables_of(values.get("storage_type", StorageType.FILE)):
            if layer := _deciding(layers, variable):
                told[variable], origins[variable] = layer.values[variable], layer.name
        return cls(**values, of_adapter=told, origins=origins)

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """Each variable with its value, secrets masked, and where the value came from."""
        for setting in _settings():
            variable, value = setting.metadata["variable"], getattr(self, setting.name)
            text = "" if value is None else masked(str(value).lower() if isinstance(value, bool) else str(value)) or ""
            yield variable, text, self.origins.get(variable, "default")
        for variable, is_secret in _variables_of(self.storage_type).items():
            told = self.of_adapter.get(variable, "")
            yield variable, "***" if is_secret and told else masked(told) or "", self.origins.get(variable, "default")


def _settings() -> Iterator[Attribute[Any]]:  # Any: each attribute has a type of its own
    return (attribute for attribute in fields(Settings) if "variable" in attribute.metadata)


def _variables_of(storage_type: str) -> Mapping[str, bool]:
    """The variables of a storage that another package offers, and whether each is a secret; raises ConfigurationError."""
    if storage_type in _OURS:
        return {}
    return {variable.name: variable.is_secret for variable in _offered(storage_type).variables}


def _offered(name: str) -> Adapter:
    from deskstore.adapters.installed import adapter

    return adapter(name)


def _deciding(layers: Iterable[Layer], variable: str) -> Layer | None:
    """The first layer that has a value, if one has; an empty one is none."""
    return next((layer for layer in layers if layer.values.get(variable)), None)


def _unknown(layers: Iterable[Layer]) -> Iterator[str]:
    """What is misspelt: the names with our prefix that mean nothing."""
    known = [setting.metadata["variable"] for setting in _settings()]
    for variable in sorted({name for layer in layers for name in layer.values if name.startswith("DESKSTORE_")} - {*known}):
        import difflib  # only a misspelt name needs it

        ours = [name for name in known if name.startswith("DESKSTORE_")]
        close = difflib.get_close_matches(variable, ours, n=1, cutoff=0.8)  # the prefix alone makes any two of them alike
        advice = f"did you mean {close[0]}?" if close else f"remove it, or choose one of: {', '.join(ours)}"
        yield f"{variable} means nothing to deskstore; {advice}"


# -- storages ------------------------------------------------------------------------------------------------------------------------------


@runtime_checkable
class Following(Protocol):
    """What a storage offers that copies to mirrors while it is open."""

    def start_draining(self) -> None:
        """Begin."""
        ...


@asynccontextmanager
async def open_storage(settings: Settings | None = None) -> AsyncGenerator[Storage]:
    """
    The storage that the settings ask for (without any: those of the environment), closed when the block ends.

    Raises:
        ConfigurationError: The settings do not fit together, or ask for a storage that this release does not have.
        StorageUnavailable: The storage cannot be reached or does not work.
    """
    asked = settings or Settings.from_environment()
    chosen = _chosen(asked)
    storage = _observed(chosen, asked, str(asked.storage_type))
    try:
        if isinstance(chosen, Following):
            chosen.start_draining()
        yield storage
    finally:
        await storage.aclose()


def _chosen(settings: Settings) -> Storage:
    from dependency_injector import providers

    storage: providers.Selector[Storage] = providers.Selector(
        lambda: str(settings.storage_type) if settings.storage_type in _OURS else "other",
        file=providers.Singleton(_file_storage, settings),
        hybrid=providers.Singleton(_hybrid_storage, settings),
        postgresql=providers.Singleton(_postgres_storage, settings),
        other=providers.Singleton(_other_storage, settings),
    )
    return storage()


def _file_storage(settings: Settings, *, reads_copies: bool = False, clock: Clock = now) -> Storage:
    from deskstore.adapters.file import FileStorage

    if settings.data_path.is_file():
        raise ConfigurationError(f"DATA_PATH is '{settings.data_path}', which is a file: name a directory, or one that is to be made")
    return FileStorage(settings.data_path, reads_copies=reads_copies, clock=clock)


def _postgres_storage(settings: Settings) -> Storage:
    storage = _database(settings)
    if settings.data_path.is_dir():
        from deskstore.adapters.beside import BesideFiles

        storage = BesideFiles(storage, _file_storage(settings))
    return _cached(storage, settings.redis_url)


def _database(settings: Settings, *, reads_copies: bool = False, clock: Clock = now) -> Storage:
    if settings.database_url is None:
        raise ConfigurationError(
            f"STORAGE_TYPE is '{settings.storage_type}', and DATABASE_URL is missing: write it as postgresql://user:password@host/name"
        )

    from deskstore.adapters.postgres import Limits, PostgresStorage
    from deskstore.adapters.postgres.checks import Entrance

    return PostgresStorage(
        settings.database_url,
        schema=settings.schema,
        limits=Limits.within(settings.timeout_s, connections=settings.pool_size),
        has_pooler=settings.pooler is Pooler.TRANSACTION,
        admit=Entrance(settings.schema, may_lose_commits=settings.may_lose_commits),
        reads_copies=reads_copies,
        clock=clock,
    )


def _cached(storage: Storage, redis_url: str | None) -> Storage:
    """The same storage with the cache before it, where there is one; raises ConfigurationError for an address that no client can use."""
    if redis_url is None:
        return storage
    from deskstore.adapters.redis import CachedStorage

    return CachedStorage(storage, redis_url)


def _hybrid_storage(settings: Settings) -> Storage:
    """Files and PostgreSQL at once; the cache stands before PostgreSQL, so that it hears of swaps and of what a mirror is given."""
    from deskstore.adapters.hybrid import HybridStorage

    near, far = _file_storage(settings, reads_copies=True), _cached(_database(settings, reads_copies=True), settings.redis_url)
    sides = (_observed(near, settings, "file", is_side=True), _observed(far, settings, "postgresql", is_side=True))
    return HybridStorage(*sides, prefers_far=settings.hybrid_use_postgres, names=("files", "database"))


def _observed(storage: Storage, settings: Settings, adapter: str, *, is_side: bool = False) -> Storage:
    """The same storage, told of to OpenTelemetry if that is asked for; raises ConfigurationError where that is not installed."""
    if not settings.otel:
        return storage
    try:
        from deskstore.adapters.otel import of_this_process
    except ModuleNotFoundError as error:
        raise ConfigurationError("DESKSTORE_OTEL is true, and OpenTelemetry is not installed: pip install 'deskstore[otel]'") from error
    from deskstore.adapters.observing import ObservedStorage

    return ObservedStorage(storage, of_this_process(), adapter=adapter, is_side=is_side)


def _other_storage(settings: Settings, clock: Clock = now) -> Storage:
    """What a package beside deskstore offers under that name."""
    offered = _offered(settings.storage_type)
    return offered.open({"DATA_PATH": str(settings.data_path), **settings.of_adapter}, clock)


def storage_to_prove(settings: Settings, clock: Clock) -> Storage:
    """
    The storage that the settings ask for, with nothing around it and going by another clock; whoever asks closes it.

    Raises:
        ConfigurationError: As open_storage() raises it, and for the storage that joins two others.
    """
    match settings.storage_type:
        case StorageType.FILE:
            return _file_storage(settings, clock=clock)
        case StorageType.POSTGRESQL:
            return _database(settings, clock=clock)
        case StorageType.HYBRID:
            raise ConfigurationError("hybrid keeps nothing itself, it joins two storages: name one of those, file or postgresql")
        case _:
            return _other_storage(settings, clock)


def offers() -> list[Offer]:
    """Every storage there is: ours, and those of packages, which are loaded for it."""
    from deskstore.adapters.file import FileStorage
    from deskstore.adapters.hybrid import HybridStorage
    from deskstore.adapters.installed import Offer, installed
    from deskstore.adapters.postgres import PostgresStorage
    from deskstore.domain.adapting import CONTRACT_VERSION

    built_in = {StorageType.FILE: FileStorage, StorageType.HYBRID: HybridStorage, StorageType.POSTGRESQL: PostgresStorage}
    ours = [Offer.of(name, "deskstore", CONTRACT_VERSION, type_) for name, type_ in built_in.items()]
    return [*ours, *(one.offer(reserved=_OURS) for one in installed())]


@asynccontextmanager
async def open_sides(settings: Settings) -> AsyncGenerator[tuple[Storage, Storage]]:
    """
    Both storages between which companies move, the files first, closed when the block ends.

    Raises:
        ConfigurationError: The settings do not say where one of them is.
    """
    near = _file_storage(settings)
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is missing: companies move between DATA_PATH and that; write it as postgresql://user:password@host/name"
        )
    far = _cached(_database(settings), settings.redis_url)
    near, far = _observed(near, settings, "file", is_side=True), _observed(far, settings, "postgresql", is_side=True)
    try:
        yield near, far
    finally:
        await near.aclose()
        await far.aclose()


# -- the schema of a database --------------------------------------------------------------------------------------------------------------


def migrations(settings: Settings, *, app_role: str | None) -> Migrations:
    """
    The schema in PostgreSQL, as its owner works on it.

    Raises:
        ConfigurationError: Nobody says where the database is.
    """
    variable = "DATABASE_URL (DESKSTORE_OWNER_URL is missing)" if settings.owner_url is None else "DESKSTORE_OWNER_URL"
    url = settings.owner_url or settings.database_url
    if url is None:
        raise ConfigurationError("DESKSTORE_OWNER_URL is missing, and DATABASE_URL too: write it as postgresql://owner:password@host/name")

    from deskstore.adapters.postgres.migrating import Migrations
    from deskstore.adapters.postgres.roles import app_role_of

    role = app_role_of(app_role, settings.database_url if settings.owner_url else None)
    return Migrations(url, variable=variable, schema=settings.schema, role=role)


def schema_script(settings: Settings, *, app_role: str | None) -> str:
    """All that makes the schema in an empty database, as SQL; connects to nothing."""
    from deskstore.adapters.postgres.migrating import script
    from deskstore.adapters.postgres.roles import app_role_of

    return script(settings.schema, app_role_of(app_role, settings.database_url if settings.owner_url else None))


@asynccontextmanager
async def open_naive_database(url: str) -> AsyncGenerator[NaiveDatabase]:
    """
    The database that the prototype kept, as it stands at this moment, for reading alone.

    Raises:
        ConfigurationError: It is none, or its policies hide rows from this login.
        StorageUnavailable: It cannot be reached.
    """
    from deskstore.adapters.postgres.naive import opened

    async with opened(url) as old:
        yield old
