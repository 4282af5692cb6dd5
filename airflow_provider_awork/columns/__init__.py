"""Time entries and lists as typed columns."""
