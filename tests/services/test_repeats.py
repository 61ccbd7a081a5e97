"""What a run has met, exactly, however much it was."""

from deskstore.domain.identifiers import article_key, ticket_key
from deskstore.services.repeats import BLOCK_BYTES, BUCKETS, DIGEST_BYTES, repeats


def test_what_was_met_is_known_and_nothing_else_is() -> None:
    with repeats() as met:
        met.add(article_key("zendesk", "1", "ko"))

        assert article_key("zendesk", "1", "ko") in met
        assert article_key("zendesk", "1") not in met
        assert ticket_key("zendesk", "1") not in met
        assert article_key("zendesk", "1", "k") not in met


def test_what_was_met_long_ago_is_read_from_the_disk() -> None:
    many = 5 * BUCKETS * BLOCK_BYTES // DIGEST_BYTES // 2

    with repeats() as met:
        for number in range(many):
            met.add(ticket_key("docs", str(number)))

        assert all(ticket_key("docs", str(number)) in met for number in range(0, many, many // 500))
        assert not any(ticket_key("docs", str(number)) in met for number in range(many, many + 500))
