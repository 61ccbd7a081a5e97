"""Shells complete our commands and options."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Deskstore
from tests.pages import with_deskstore

ASK = """
eval "$(deskstore completion bash)"
COMP_WORDS=({words}) COMP_CWORD={at}
_deskstore_completion deskstore
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        (["deskstore", "ti"], ["ticket"]),
        (["deskstore", "ticket", "g"], ["get"]),
        (["deskstore", "ticket", "list", "--pro"], ["--processing"]),
        (["deskstore", "ticket", "list", "--processing", "f"], ["failed"]),
        (["deskstore", "completion", "z"], ["zsh"]),
    ],
)
def test_bash_completes_commands_options_and_values(tmp_path: Path, line: list[str], completed: list[str]) -> None:
    asking = ASK.format(words=" ".join(line), at=len(line) - 1)

    done = subprocess.run(
        ["bash", "--norc", "-c", asking], env=with_deskstore(tmp_path / "bin"), capture_output=True, text=True, check=False
    )

    assert (done.stdout.split(), done.stderr) == (completed, "")


@pytest.mark.parametrize(("shell", "asks"), [("bash", "bash_complete"), ("zsh", "zsh_complete"), ("fish", "fish_complete")])
def test_what_a_shell_is_given_asks_deskstore_in_the_words_of_that_shell(deskstore: Deskstore, shell: str, asks: str) -> None:
    ran = deskstore("completion", shell)

    assert (ran.code, ran.err) == (0, "")
    assert f"_DESKSTORE_COMPLETE={asks}" in ran.out


def test_a_shell_that_is_not_known_is_refused_with_those_that_are(deskstore: Deskstore) -> None:
    ran = deskstore("completion", "tcsh")

    assert (ran.code, ran.out) == (2, "")
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in ran.err
