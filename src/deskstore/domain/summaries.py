"""What a model, or a person, wrote of a ticket or an article."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from attrs import field, frozen

from deskstore.domain import payloads, times
from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import Key
from deskstore.domain.records import clean

MOST_TOKENS: Final = 2**63
NAME_LENGTH: Final = 255  #: code points of model and prompt_id


def _name(text: str | None) -> str | None:
    return clean(text, NAME_LENGTH)


@frozen(kw_only=True)
class Summary:
    """A summary of one record: immutable and numbered; earlier ones stay readable."""

    key: Key  #: the ticket's or the article's, in its locale
    number: int = 0  #: 1, 2, 3 … for a record; 0 = not saved yet, commit() gives the number
    content: bytes  #: a JSON object, exactly as it was given
    model: str | None = field(default=None, converter=_name)
    prompt_id: str | None = field(default=None, converter=_name)
    parameters: bytes = b"{}"  #: a JSON object: what the model was called with
    tokens: int | None = None
    cost: float | None = None  #: in the currency the caller counts in
    source_digest: bytes  #: text_digest of the text it was written of: another one makes it stale
    pinned: bool = False  #: written by a person: stays current whatever comes after it
    created_at: datetime = field(converter=times.aware_utc)
    version: int = 0  #: 0 = never saved

    @property
    def data(self) -> payloads.Parsed:
        """The content's value, parsed anew at each call."""
        return payloads.parse(self.content)

    def is_stale(self, text_digest: bytes) -> bool:
        """Whether it was written of another text than the one with this digest."""
        return self.source_digest != text_digest

    def is_by(self, model: str | None, prompt_id: str | None) -> bool:
        """Whether this model wrote it with this prompt, of which None is any; what a person wrote, no model writes better."""
        return self.pinned or (model in (None, self.model) and prompt_id in (None, self.prompt_id))


def checked(summary: Summary) -> Summary:
    """
    The same summary, fit for every storage.

    Raises:
        InvalidRecord: It was saved before, or holds a number or a text that not every storage can give back as it came.
    """
    if summary.number or summary.version:
        raise InvalidRecord(f"summary {summary.number} of {summary.key} was saved before: summaries are immutable, add another one")
    if summary.tokens is not None and not 0 <= summary.tokens < MOST_TOKENS:
        raise InvalidRecord(f"a summary of {summary.key} counts {summary.tokens} tokens: give 0 to {MOST_TOKENS - 1}")
    if summary.cost is not None and not math.isfinite(summary.cost):
        raise InvalidRecord(f"a summary of {summary.key} costs {summary.cost}: give a finite number")
    payloads.check(summary.content, f"the content of a summary of {summary.key}")
    payloads.check(summary.parameters, f"the parameters of a summary of {summary.key}")
    return summary


def current(summaries: Iterable[Summary]) -> Summary | None:
    """The one to show: the highest pinned one, else the highest; None when there is none."""
    return max(summaries, key=lambda summary: (summary.pinned, summary.number), default=None)


@frozen(kw_only=True)
class StaleSummary:
    """A record whose current summary was written of another text than it has now."""

    key: Key
    summary: Summary
    text_digest: bytes = field(repr=False)  #: of the record now
