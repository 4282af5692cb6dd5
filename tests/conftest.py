"""What all tests share: an Airflow of their own, and a storage emulator that starts once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import airflow_environment

# Airflow reads its settings when it is first imported, so they come before any import of Airflow or of the package.
airflow_environment.isolate()
# gcsfs reads this when it is imported; without it, it asks for the kind of a bucket by gRPC, which no emulator speaks.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

from tests.helpers.storage_emulators import S3Emulator, run_s3_emulator  # noqa: E402

# The same examples on every machine, however busy; ``--hypothesis-profile=default`` looks for others, and more.
settings.register_profile(
    "repeatable", derandomize=True, max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _deprecated_use_is_an_error() -> None:
    """The package may use nothing that Airflow or Python deprecates; Airflow's own old names are not ours to mend."""
    warnings.filterwarnings("error", category=DeprecationWarning, module=r"airflow_provider_awork(\.|$)")


@pytest.fixture(scope="session")
def s3_emulator() -> Iterator[S3Emulator]:
    """Give an S3 server and an Airflow connection to it; tests that ask for it carry the marker ``emulator``."""
    with run_s3_emulator() as emulator:
        yield emulator
