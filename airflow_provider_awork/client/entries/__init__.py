"""The operations on time entries."""
