"""Batch changes of time entries that were exported."""
