"""Keeps the helpdesk data of many companies: on files first, on PostgreSQL and Redis later, without a change in the code that uses it."""

__version__ = "0.1.0.dev0"
