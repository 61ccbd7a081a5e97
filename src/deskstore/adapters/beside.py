"""A storage that is used alone, while another one stands beside it that may hold the same companies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.errors import ConfigurationError, MigrationError
from deskstore.domain.ports import Backend, BeforeCommit, Inspectable, Inspection, Storage
from deskstore.domain.processing import Processing
from deskstore.domain.wrapping import WrappedStorage


class BesideFiles(WrappedStorage):
    """
    The same storage, which begins no company that lives in the files beside it: it would be another one of that name.

    Args:
        beneath: The storage that was asked for.
        files: The files that stand beside it; nothing is written to them.
    """

    def __init__(self, beneath: Storage, files: Storage) -> None:
        super().__init__(beneath)
        self._files: Final = files
        self._looked_for: Final[set[str]] = set()

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        await self._look_for(backend.company_id)
        return await super().apply(backend, changes, before_commit)

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker."""
        taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        if not taken:
            await self._look_for(company_id)
        return taken

    def inspection(self) -> Inspection:
        """A look through what the storage beneath keeps."""
        if not isinstance(self.beneath, Inspectable):
            raise ConfigurationError("this storage cannot be looked through: choose STORAGE_TYPE=file")
        return self.beneath.inspection()

    async def aclose(self) -> None:
        """Close both."""
        await super().aclose()
        await self._files.aclose()

    async def _look_for(self, company_id: str) -> None:
        """Raise MigrationError where the files say that the company lives in them; once a company, since it costs a look at the disk."""
        if company_id in self._looked_for:
            return
        files = self._files.replica(company_id)
        state = await files.state()
        if state is not None and state.primary == await files.store_id():
            raise MigrationError(
                f"company {company_id!r} lives in the files under DATA_PATH: move it here with `deskstore migrate start`, "
                "or let DATA_PATH name a directory without it; nothing was written"
            )
        self._looked_for.add(company_id)
