"""What is printed as it comes, so that it need not fit into memory."""

import json
from collections.abc import AsyncIterator

import pytest

from deskstore.cli.output import PART, print_long_json, print_long_table


async def numbers(many: int) -> AsyncIterator[int]:
    for number in range(many):
        yield number


@pytest.mark.parametrize("many", [0, 1, 3])
async def test_a_long_document_is_the_one_that_would_be_printed_at_once(capsys: pytest.CaptureFixture[str], many: int) -> None:
    await print_long_json("found", ({"number": number} async for number in numbers(many)))

    assert capsys.readouterr().out == json.dumps({"found": [{"number": number} for number in range(many)]}, indent=2) + "\n"


@pytest.mark.parametrize("many", [0, 1, PART, PART + 1])
async def test_a_long_table_has_its_headings_once_and_every_row(capsys: pytest.CaptureFixture[str], many: int) -> None:
    printed = await print_long_table(["NAME", "#NUMBER"], ([f"the {number}th", number] async for number in numbers(many)))

    lines = capsys.readouterr().out.splitlines()
    assert printed == many
    assert lines[0].split() == ["NAME", "NUMBER"]
    assert [line.split()[1] for line in lines[1:]] == [f"{number}th" for number in range(many)]


async def test_columns_that_became_wide_stay_wide(capsys: pytest.CaptureFixture[str]) -> None:
    await print_long_table(["NAME", "#NUMBER"], (["x" * (20 if number == 0 else 1), number] async for number in numbers(PART + 1)))

    assert capsys.readouterr().out.splitlines()[-1] == f"{'x':20}   1,000"
