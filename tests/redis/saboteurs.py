"""Caches that leave one step of the protocol out; the races must catch each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from deskstore.adapters.redis import CachedStorage, Limits
from deskstore.adapters.redis.company import CompanyCache, Place
from deskstore.adapters.redis.names import Subject
from deskstore.adapters.redis.scripts import Script
from deskstore.adapters.redis.values import Seal, unpacked
from deskstore.domain.identifiers import Key
from deskstore.domain.ports import Storage
from tests.redis import faults
from tests.redis.contests import Contest
from tests.redis.racing import Plan


class _BuriesNothing(CompanyCache):
    async def bury(self, name: str, places: Sequence[Place]) -> bool:
        return True


class DeletesAfterCommitOnly(CachedStorage):
    """Values go once the commit took place, and nothing keeps them away before."""

    Company = _BuriesNothing


_NEWER_ONLY: Final = Script("""
local stands = redis.call('GET', KEYS[1])
if stands and (tonumber(redis.call('GET', KEYS[2])) or 0) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
""")


class _ComparesVersions(_BuriesNothing):
    async def _keep(self, subject: Subject, lease: Any, epoch: int, found: Mapping[Key, Any]) -> None:  # Any: as in the class it spoils
        from deskstore.adapters.redis.values import packed

        seal = Seal(company_id=self.company_id, generation=lease.generation, epoch=epoch)
        for key, value in found.items():
            data = packed(subject, key, value, seal)
            names = [self._names.value(subject, key), self._names.value(subject, key) + ":version"]
            await self._done(_NEWER_ONLY, names, [data or b"", value.version, 30_000])


class ComparesVersionsOnly(CachedStorage):
    """A value is kept if it is newer than the one that stands there, whoever else has been there meanwhile."""

    Company = _ComparesVersions


class _BelievesAnyEnvelope(CompanyCache):
    def _look_at(self, seen: Any, subject: Subject, key: Key, data: bytes | None, seal: Seal) -> None:  # Any: as in the class it spoils
        if data is None or data.startswith(b"!"):
            super()._look_at(seen, subject, key, data, seal)
            return
        value = _opened(subject, data)
        if value is None:
            seen.absent[key] = True
        else:
            seen.values[key] = value


def _opened(subject: Subject, data: bytes) -> Any:  # Any: a value of the subject
    """Whatever a value holds that is one at all."""
    import msgspec

    try:
        company_id, of, named, generation, epoch, _ = msgspec.msgpack.decode(data[6:])
        return unpacked(of, Key(*named), data, Seal(company_id=company_id, generation=generation, epoch=epoch)) if of == subject else None
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None


class ChecksNoEnvelope(CachedStorage):
    """Whatever stands under a key is taken for its value."""

    Company = _BelievesAnyEnvelope


class _KnowsNoGeneration(CompanyCache):
    def _look_at(self, seen: Any, subject: Subject, key: Key, data: bytes | None, seal: Seal) -> None:  # Any: as in the class it spoils
        import msgspec

        seen.is_closed = False
        if data is not None and not data.startswith(b"!"):
            seal = evolve(seal, generation=msgspec.msgpack.decode(data[6:])[3])
        super()._look_at(seen, subject, key, data, seal)


class ChecksNoGeneration(CachedStorage):
    """Values count whatever became of all that stood with them."""

    Company = _KnowsNoGeneration


@frozen(kw_only=True)
class Saboteur:
    """A cache that leaves something out, the race in which that shows, and as what."""

    opens: type[CachedStorage]
    contest: Contest
    fault: str = "stale"

    def __call__(self, beneath: Storage, url: str, limits: Limits) -> CachedStorage:
        """The cache before a storage."""
        return self.opens(beneath, url, limits=limits)


SABOTEURS: Final[Mapping[str, Saboteur]] = {
    "deletes after the commit only": Saboteur(opens=DeletesAfterCommitOnly, contest=Contest(plan=Plan(large=0.0))),
    "compares versions only": Saboteur(opens=ComparesVersionsOnly, contest=Contest(plan=Plan(large=0.0))),
    "checks no envelope": Saboteur(opens=ChecksNoEnvelope, contest=Contest(fault=faults.poison), fault="foreign"),
    "checks no generation": Saboteur(opens=ChecksNoGeneration, contest=Contest(plan=Plan(large=0.3))),
}
