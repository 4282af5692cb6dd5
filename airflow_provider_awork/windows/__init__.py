"""The period that a run covers, and where it comes from."""
