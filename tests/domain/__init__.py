"""The rules themselves, without any storage."""
