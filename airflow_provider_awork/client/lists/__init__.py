"""awork's lists: what they are, how they are filtered, and how they are read completely."""
