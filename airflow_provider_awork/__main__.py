"""``python -m airflow_provider_awork``: see :mod:`.cli`."""

from __future__ import annotations

import sys

from airflow_provider_awork.cli import main

if __name__ == "__main__":
    sys.exit(main())
