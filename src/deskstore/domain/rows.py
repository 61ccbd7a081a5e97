"""A processing as one flat row, for storages that keep tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deskstore.domain import times
from deskstore.domain.identifiers import Key
from deskstore.domain.processing import Claim, Processing, ProcessingStatus

Row = tuple[Any, ...]  # Any: columns of every type
WIDTH: Final = 10  #: columns: status, attempts, error, worker, token, lease, the claim's digest, claimable_at, changed_at, version


def processing_row(processing: Processing | None) -> Row:
    """The row of a processing, times as microseconds; empty columns for none."""
    if processing is None:
        return (None,) * WIDTH
    return (
        processing.status.value,
        processing.attempts,
        processing.error,
        *_claim_columns(processing.claim),
        None if processing.claimable_at is None else times.microseconds(processing.claimable_at),
        times.microseconds(processing.changed_at),
        processing.version,
    )


def processing_of(key: Key, row: Sequence[Any]) -> Processing | None:
    # Any: no database tells a type checker what it holds
    """The processing of a row, or None of an empty one; raises ValueError, TypeError or OverflowError for what is no such row."""
    status, attempts, error, worker, token, lease_us, digest, claimable_us, changed_us, version = row
    if status is None:
        return None
    claim = Claim(worker=worker, token=token, lease_until=times.moment(lease_us), text_digest=digest) if token else None
    return Processing(
        key=key,
        status=ProcessingStatus(status),
        attempts=attempts,
        error=error,
        claim=claim,
        claimable_at=None if claimable_us is None else times.moment(claimable_us),
        changed_at=times.moment(changed_us),
        version=version,
    )


def _claim_columns(claim: Claim | None) -> Row:
    return (None,) * 4 if claim is None else (claim.worker, claim.token, times.microseconds(claim.lease_until), claim.text_digest)
