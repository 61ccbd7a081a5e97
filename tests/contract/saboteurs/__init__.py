"""Storages that break one promise each, so that the kit is seen to catch its breach, and only there."""
