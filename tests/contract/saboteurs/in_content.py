"""Names and payloads that are not what they were."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from attrs import evolve

from deskstore.domain.changes import Changes
from deskstore.domain.errors import InvalidIdentifier
from deskstore.domain.identifiers import Key
from deskstore.domain.ports import Backend, ProgressReads, RecordReads, UnitOfWork
from deskstore.domain.processing import Checkpoint
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.unit import BufferedArticles, BufferedProgress, BufferedSummaries, BufferedTickets
from deskstore.testing.contract import claims as of_claims
from deskstore.testing.contract import documents as of_documents
from deskstore.testing.contract import identifiers as of_identifiers
from deskstore.testing.contract import payloads as of_payloads
from tests.contract.saboteurs.base import R, SabotagedChanges, SabotagedParts, Saboteur, with_records


class NeedsNoCompany(Saboteur):
    def unit_of_work(self, company_id: str) -> UnitOfWork:
        return super().unit_of_work(company_id or "default")

    breaks = (
        of_identifiers.test_a_bad_company_id_opens_nothing,
        of_identifiers.test_without_a_company_nothing_opens,
    )


class TrimsCompanies(Saboteur):
    def unit_of_work(self, company_id: str) -> UnitOfWork:
        return super().unit_of_work(company_id if not company_id else "".join(filter(str.isprintable, company_id)).strip()[:100] or "x")

    breaks = (
        of_identifiers.test_a_bad_company_id_opens_nothing,
        of_identifiers.test_hostile_company_ids_are_distinct_companies,
    )


class FoldsCompanies(Saboteur):
    def backend(self, company_id: str) -> Backend:
        return super().backend(unicodedata.normalize("NFC", company_id) if company_id else company_id)

    breaks = (of_identifiers.test_hostile_company_ids_are_distinct_companies,)


class FoldsIds(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: record if record.key.id.isascii() else _folded(record))

    breaks = (
        of_identifiers.test_any_names_that_the_rules_allow_are_kept,
        of_identifiers.test_hostile_names_are_distinct_platforms_ids_and_locales,
    )


def _folded(record: Ticket | Article) -> Ticket | Article:
    text = unicodedata.normalize("NFC", record.key.id)
    return evolve(record, ticket_id=text) if isinstance(record, Ticket) else evolve(record, article_id=text)


class FoldsCheckpoints(Saboteur):
    async def checkpoint(self, reads: ProgressReads, platform: str, stream: str) -> Checkpoint | None:
        return await reads.checkpoint(platform, unicodedata.normalize("NFC", stream))

    breaks = (of_identifiers.test_hostile_names_are_distinct_checkpoints,)


class KeepsBadNames(SabotagedParts):
    class Tickets(BufferedTickets):
        def save(self, record: Ticket) -> Ticket:
            try:
                return super().save(record)
            except InvalidIdentifier:
                return super().save(evolve(record, ticket_id="bad", platform="bad"))

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_identifiers.test_a_record_with_a_bad_name_is_refused_and_leaves_no_trace,)


class AnswersBadNames(SabotagedParts):
    class Articles(BufferedArticles):
        async def locales(self, platform: str, article_id: str) -> Sequence[str]:
            try:
                return await super().locales(platform, article_id)
            except InvalidIdentifier:
                return []

    parts: ClassVar = {"articles": Articles}
    breaks = (of_identifiers.test_a_bad_name_cannot_be_asked_for,)


class KnowsNoCheckpointOfBadNames(SabotagedParts):
    class Progress(BufferedProgress):
        async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
            try:
                return await super().checkpoint(platform, stream)
            except InvalidIdentifier:
                return None

    parts: ClassVar = {"progress": Progress}
    breaks = (of_identifiers.test_a_bad_platform_stream_or_worker_cannot_be_asked_for,)


class TakesAnyPayload(SabotagedParts):
    class Tickets(BufferedTickets):
        def save(self, record: Ticket) -> Ticket:
            return super().save(evolve(record, checked=record.payload))

    parts: ClassVar = {"tickets": Tickets}
    breaks = (
        of_payloads.test_a_payload_beside_the_digest_of_another_is_refused,
        of_payloads.test_what_is_no_document_is_refused_as_a_payload,
    )


class TakesAnySummary(SabotagedParts):
    class Summaries(BufferedSummaries):
        def add(self, summary: Summary) -> None:
            if summary.number:
                return super().add(summary)
            with self._unit.alone(None) as pending:
                pending.add_summary(summary.key, summary)

    parts: ClassVar = {"summaries": Summaries}
    breaks = (
        of_identifiers.test_a_record_with_a_bad_name_is_refused_and_leaves_no_trace,
        of_payloads.test_what_is_no_document_is_refused_as_a_summary,
    )


class TamperedPayloads(SabotagedChanges):
    """Payloads are kept differently."""

    def kept(self, payload: bytes) -> bytes:
        raise NotImplementedError

    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: evolve(record, payload=self.kept(record.payload)))


class LosesAByte(TamperedPayloads):
    def kept(self, payload: bytes) -> bytes:
        return payload.rstrip()

    breaks = (
        of_documents.test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again,
        of_payloads.test_a_hostile_payload_comes_back_byte_for_byte,
        of_payloads.test_any_record_comes_back_as_it_was_saved,
    )


class ReordersKeys(TamperedPayloads):
    def kept(self, payload: bytes) -> bytes:
        return payload.replace(b'{"b":1,"a":2,"b":3}', b'{"a":2,"b":3}')

    breaks = (of_payloads.test_a_hostile_payload_comes_back_byte_for_byte,)


class RoundsNumbers(TamperedPayloads):
    def kept(self, payload: bytes) -> bytes:
        return payload.replace(b"-0.0", b"0.0").replace(b"9007199254740993", b"9007199254740992")

    breaks = (
        of_documents.test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again,
        of_payloads.test_a_hostile_payload_comes_back_byte_for_byte,
        of_payloads.test_any_record_comes_back_as_it_was_saved,
    )


class DropsWhatJsonbRefuses(TamperedPayloads):
    def kept(self, payload: bytes) -> bytes:
        return payload.replace(b"\\u0000", b"").replace(b"\\ud800", b"?")

    breaks = (
        of_documents.test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again,
        of_payloads.test_a_hostile_payload_comes_back_byte_for_byte,
    )


class CutsLargePayloads(TamperedPayloads):
    def kept(self, payload: bytes) -> bytes:
        return payload[: 16 * 2**20 - 1]

    breaks = (
        of_documents.test_a_document_may_be_as_deep_and_as_long_as_the_rule_allows_and_no_more,
        of_payloads.test_a_payload_of_the_largest_size_comes_back_byte_for_byte,
    )


class StreamsOtherBytes(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        found = await reads.find_many(keys)
        return {key: evolve(one, payload=one.payload.replace("한국어".encode(), b"\\ud55c\\uad6d\\uc5b4")) for key, one in found.items()}

    breaks = (
        of_documents.test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again,
        of_identifiers.test_hostile_company_ids_are_distinct_companies,
        of_payloads.test_a_hostile_payload_comes_back_byte_for_byte,
    )


class CutsText(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(
            changes, lambda record: evolve(record, fields=evolve(record.fields, subject=(record.fields.subject or "")[:200] or None))
        )

    breaks = (of_payloads.test_text_that_was_read_comes_back_as_it_was_cleaned,)


class FillsInWhatIsMissing(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(
            changes, lambda record: evolve(record, fields=evolve(record.fields, priority=record.fields.priority or "normal"))
        )

    breaks = (
        of_payloads.test_text_that_was_read_comes_back_as_it_was_cleaned,
        of_payloads.test_what_was_not_read_stays_missing,
    )


class LosesMicroseconds(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: evolve(record, saved_at=record.saved_at.replace(microsecond=0)))

    breaks = (
        of_claims.test_a_ticket_is_not_handed_out_before_its_time,
        of_payloads.test_times_come_back_to_the_microsecond,
    )
