"""How fast and how large an export is, beside what people write by hand. Run with ``make bench``."""
