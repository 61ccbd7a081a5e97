"""Crowds of workers, as processes, and what they leave behind."""
