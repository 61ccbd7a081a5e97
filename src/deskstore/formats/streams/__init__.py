"""Exports, in and out: files that hold many records, read as exact slices with bounded memory, and written one record a line."""

from __future__ import annotations

from deskstore.formats.streams.envelopes import is_exported
from deskstore.formats.streams.places import Detected, Place, Reject, Slice
from deskstore.formats.streams.reading import RecordReader, read_records
from deskstore.formats.streams.scanning import member
from deskstore.formats.streams.writing import LineWriter, is_stream, one_line, write_lines

__all__ = [
    "Detected",
    "LineWriter",
    "Place",
    "RecordReader",
    "Reject",
    "Slice",
    "is_exported",
    "is_stream",
    "member",
    "one_line",
    "read_records",
    "write_lines",
]
