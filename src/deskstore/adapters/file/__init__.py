"""Keeps each record as a JSON file, and the journal, index and lock of a company in SQLite."""
