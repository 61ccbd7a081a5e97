"""PostgreSQL hashes the requesters of a unit where it locks, as the domain does everywhere else."""

from __future__ import annotations

import pytest
from attrs import evolve

from deskstore.domain.errors import RequesterSuppressed
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_suppression, a_ticket, fields

REQUESTERS = ["kim@example.com", "김 <kim@회사.kr>", 'O\'Brien \\ "x" %_;', "🙂", "a", " \N{REPLACEMENT CHARACTER}\t", "k" * 100]


@pytest.mark.parametrize("length", [1, 31, 32, 63, 64, 65, 200])
async def test_requesters_of_any_name_are_kept_out_under_a_secret_of_any_length(desk: Desk, length: int) -> None:
    secret = bytes(range(256))[-length:] if length > 1 else b"\0"
    *tickets, welcome = [
        a_ticket(str(number), read=evolve(fields(), requester=one)) for number, one in enumerate([*REQUESTERS, "somebody else"])
    ]
    for requester in REQUESTERS:
        await desk.suppress(a_suppression(requester, secret=secret))

    with pytest.raises(RequesterSuppressed) as refusal:
        await desk.keep(*tickets, welcome)

    assert [*refusal.value.keys] == [ticket.key for ticket in tickets]
