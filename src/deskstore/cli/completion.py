"""`deskstore completion`: what makes a shell complete our commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from deskstore.cli.failures import COMPLETION, OK
from deskstore.cli.shared import Command

SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
EXAMPLES: Final = """\b
Examples:
  eval "$(deskstore completion bash)"                                     # in ~/.bashrc
  eval "$(deskstore completion zsh)"                                      # in ~/.zshrc
  deskstore completion fish > ~/.config/fish/completions/deskstore.fish
"""


@click.command("completion", cls=Command, epilog=EXAMPLES)
@click.argument("shell", type=click.Choice([*SHELLS]))
def command(shell: str) -> int:
    """Let a shell complete commands and options: print what it must be told."""
    completing = SHELLS[shell](click.get_current_context().find_root().command, {}, "deskstore", COMPLETION)
    click.echo(ShellComplete.source(completing))  # that of bash itself starts a bash, only to complain about an old one
    return OK
