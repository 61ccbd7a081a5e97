"""Names that whoever hands over payloads may give, in place of those in a platform's own table."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Options:
    """Names of fields that hold something else than the platform's table says; dots lead into objects, as in `properties.subject`."""

    id_field: str | None = None
    subject_field: str | None = None
    status_field: str | None = None
    priority_field: str | None = None
    requester_field: str | None = None
    created_field: str | None = None
    updated_field: str | None = None  #: also what orders the versions of a record
    locale_field: str | None = None
