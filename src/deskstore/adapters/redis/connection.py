"""Asking Redis: briefly, once, and not at all while it does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from deskstore.adapters.redis.breaker import Breaker
from deskstore.adapters.redis.limits import Limits
from deskstore.adapters.redis.line import Line
from deskstore.adapters.redis.scripts import Script
from deskstore.domain.errors import ConfigurationError

logger: Final = logging.getLogger("deskstore")
Word = str | bytes
#: what comes of a server that refuses, breaks off, is late, or speaks anything but Redis's protocol
FAILURES: Final = (RedisError, RedisClusterException, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
AT_ONCE: Final = 32  #: questions under way; more would wait for one another in this very process


class NoAnswer(Exception):
    """Redis did not answer, or is left alone because it did not before; never leaves the cache."""


class Connection:
    """
    One Redis, or one cluster of them.

    Args:
        url: `redis://`, `rediss://` or `unix://`; with `+cluster` behind the first two, any node of a cluster.
        limits: How long to wait for it.
    """

    def __init__(self, url: str, limits: Limits) -> None:
        parts = urlsplit(url)
        self.is_cluster: Final = parts.scheme.endswith("+cluster")
        self.place: Final = _place(url)
        self._limits: Final = limits
        self._client: Final = _client(urlunsplit(parts._replace(scheme=parts.scheme.removesuffix("+cluster"))), is_cluster=self.is_cluster)
        self._breaker: Final = Breaker(limits.most_failures, limits.pause_s)
        self._turns: Final = asyncio.Semaphore(AT_ONCE)
        self._has_map = not self.is_cluster
        self._has_line = not self.is_cluster  #: whether values are asked for on a connection of their own
        self._line: Line | None = None
        self._opening: Final = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """Whether Redis may be asked; where it is time to see if it is back, that begins, and nobody waits for it."""
        if self._is_closed:
            return False
        if self._breaker.is_time_to_look():
            self._looking = asyncio.ensure_future(self._look())
        return not self._breaker.is_open

    async def run(self, *command: Word | int) -> Any:  # Any: each command has an answer of its own
        """The answer to a command that a person waits for, and so longer than a read would; raises NoAnswer."""
        return await self._asked(lambda: self._sent(*command), is_patient=True)

    async def values(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """What stands under these keys, all of one slot, at one moment; raises NoAnswer."""
        found: Sequence[bytes | None] = await self._asked(lambda: self._found(names))
        return found

    async def call(
        self, script: Script, keys: Sequence[str], values: Sequence[Word | int], *, is_patient: bool = False
    ) -> Any:  # Any: as for run
        """What a script gives; Redis is taught it where it does not know it. Raises NoAnswer."""
        return await self._asked(lambda: self._called(script, keys, values), is_patient=is_patient)

    async def aclose(self) -> None:
        """Let go of every connection."""
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        with suppress(*FAILURES):
            if self._line is not None:
                await self._line.aclose()
        with suppress(*FAILURES):
            await self._client.aclose()

    async def _asked(self, ask: Callable[[], Awaitable[Any]], *, is_patient: bool = False) -> Any:  # Any: as for run
        async with self._turns:  # where a thousand ask at once, their own number must not look like a Redis that is late
            if not self.is_open:
                raise NoAnswer(f"{self.place} does not answer, and is left alone for now")
            timeout_s = self._limits.opening_s if is_patient or not self._has_map else self._limits.timeout_s
            self._has_map = True
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await ask()
            except FAILURES as error:
                self._note_failure(error)
                raise NoAnswer(f"{self.place} does not answer: {_said(error)}") from error
        self._breaker.note_answer()
        return answer

    def _note_failure(self, error: Exception) -> None:
        if self._breaker.note_failure():
            if self._line is not None:
                self._line.abort()  # whatever it was that did not answer, the next question is asked on another one
            logger.warning("the cache is left alone: %s does not answer: %s", self.place, _said(error), extra={"operation": "cache"})

    async def _called(self, script: Script, keys: Sequence[str], values: Sequence[Word | int]) -> Any:  # Any: as for run
        try:
            return await self._sent("EVALSHA", script.name, len(keys), *keys, *values)
        except NoScriptError:
            return await self._sent("EVAL", script.text, len(keys), *keys, *values)

    async def _sent(self, *command: Word | int) -> Any:  # Any: as for run
        return await self._client.execute_command(*command)

    async def _found(self, names: Sequence[str]) -> Sequence[bytes | None]:
        line = self._line
        if self._has_line and (line is None or line.is_closed):
            line = await self._opened_line()
        if line is not None:
            return await line.values(names)
        found: Sequence[bytes | None] = await self._sent("MGET", *names)
        return found

    async def _opened_line(self) -> Line | None:
        async with self._opening:
            if self._line is None or self._line.is_closed:
                if self._line is not None:
                    await self._line.aclose(waits=False)
                self._line = await Line.opened(self._client.connection_pool)
                self._has_line = self._line is not None
            return self._line

    async def _look(self) -> None:
        """See whether Redis is back, in the time of nobody who waits for records."""
        try:
            async with asyncio.timeout(self._limits.opening_s):
                await self._sent("PING")
        except FAILURES:
            return
        if self._breaker.note_answer():
            logger.info("the cache is back: %s answers", self.place, extra={"operation": "cache"})


def _client(url: str, *, is_cluster: bool) -> Any:  # Any: of the client's own types half are unknown
    """A client that neither tries again nor waits by itself."""
    options: dict[str, Any] = {  # Any: each option has a type of its own
        "protocol": 2,  # the newer one begins with greetings of which a server before Redis 7 knows nothing
        "retry": Retry(NoBackoff(), 0),
        # its own time-outs are wait_for(), which on Python 3.11 now and then swallows a cancellation
        "socket_timeout": None,
        "socket_connect_timeout": None,
    }
    try:
        if is_cluster:
            return RedisCluster.from_url(url, require_full_coverage=False, **options)
        return Redis.from_url(url, **options)  # pyright: ignore[reportUnknownMemberType] # its options are untyped there
    except (ValueError, TypeError, RedisClusterException) as error:
        raise ConfigurationError(f"REDIS_URL cannot be used: {_said(error)}; write it as redis://user:password@host:6379/0") from error


def _place(url: str) -> str:
    """Where a Redis is, without secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0].removesuffix(".") or (
        "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
    )
