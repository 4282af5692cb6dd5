"""
A local awork for tests and trials: HTTP on 127.0.0.1 over seeded data, with the faults of the real world on demand.

``python -m airflow_provider_awork.sandbox`` serves it; :class:`Sandbox` is the context manager for tests.
"""

from __future__ import annotations

try:
    import lark  # noqa: F401 - only to see whether it is there
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    # With the package's own name, for which python -m shows the message alone.
    raise ImportError(
        f"The sandbox needs further libraries ({error}). Run: pip install 'airflow-provider-awork[sandbox]'",
        name=__name__,
    ) from error

from airflow_provider_awork.sandbox.faults import (
    Answer,
    BrokenGzip,
    CutBody,
    Delay,
    Fault,
    Headers,
    Html,
    PrettyPrinted,
    Rule,
    RuleRequest,
    ShortBody,
    Stall,
    TruncatedJson,
    at,
    every,
    first,
)
from airflow_provider_awork.sandbox.front import RequestRecord
from airflow_provider_awork.sandbox.sandbox import Sandbox
from airflow_provider_awork.sandbox.settings import Settings, Workspace
from airflow_provider_awork.sandbox.store import Store

__all__ = [
    "Answer",
    "BrokenGzip",
    "CutBody",
    "Delay",
    "Fault",
    "Headers",
    "Html",
    "PrettyPrinted",
    "RequestRecord",
    "Rule",
    "RuleRequest",
    "Sandbox",
    "Settings",
    "ShortBody",
    "Stall",
    "Store",
    "TruncatedJson",
    "Workspace",
    "at",
    "every",
    "first",
]
