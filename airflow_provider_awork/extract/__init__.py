"""Time entries and other lists as data: their columns, the windows of a run, and the files they are written to."""
