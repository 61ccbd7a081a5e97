"""The migrations, one file a step; each is SQL beside it, since most of what changes are functions and policies."""
