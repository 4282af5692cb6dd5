"""
Every difference between the supported Airflow versions (3.1, 3.2, 3.3); no other module asks for the version.

Airflow's exceptions live in ``airflow.sdk.exceptions`` from 3.2 on; 3.1 has only ``AirflowException`` there, and
``airflow.exceptions`` warns about deprecation from 3.3 on.
"""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowException

try:
    from airflow.sdk.exceptions import AirflowFailException, AirflowOptionalProviderFeatureException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[no-redef]
        AirflowFailException,
        AirflowOptionalProviderFeatureException,
    )

__all__ = ["AirflowException", "AirflowFailException", "AirflowOptionalProviderFeatureException"]
