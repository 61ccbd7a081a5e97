"""Ports of the loopback address."""

from __future__ import annotations

import secrets
import socket
from typing import Final

HOST: Final = "127.0.0.1"
#: below those that systems give to outgoing connections, or one of these could take the port while a server restarts
LOWEST: Final = 15_000
HIGHEST: Final = 32_000


def free_port() -> int:
    """A port nobody listens on now; somebody may take it before the server does, so be ready to ask again."""
    while True:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as asked:
        try:
            asked.bind((HOST, port))
        except OSError:
            return False
    return True
