"""Batch changes with a ledger against a local awork, in the process of the test."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.billing.batch_changes import BatchChange
from airflow_provider_awork.billing.batch_report import BatchReport
from airflow_provider_awork.billing.entry_keys import EntryKey
from airflow_provider_awork.files.ledger import open_ledger
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.hooks.awork import AworkHook

OWNER = Owner(dag_id="billing", run_id="october", task_id="mark", map_index=-1, try_number=1)


def change(
    hook: AworkHook,
    keys: Collection[EntryKey],
    folder: Path,
    *,
    owner: Owner = OWNER,
    operation: str = "setIsBilled",
    value: bool | str | None = True,
    **parameters: Any,
) -> BatchReport:
    """Apply a batch operation with a ledger in a local folder."""
    batch = BatchChange(operation=operation, value=value, **{"chunk_size": 20, **parameters})
    path = ObjectStoragePath(f"file://{folder}")
    with open_ledger(path, owner=owner) as ledger:
        return batch.run(hook.client, keys, identity=hook.identity, ledger=ledger, ledger_path=str(path))


def parts(folder: Path) -> list[str]:
    return sorted((path.name for path in folder.glob("_ledger-*")), key=lambda name: int(name.split("-")[2]))


def lines(folder: Path) -> list[dict[str, Any]]:
    """All lines of a ledger, in the order of its parts."""
    return [json.loads(line) for name in parts(folder) for line in (folder / name).read_text().splitlines()]


def outcomes(folder: Path, operation: str = "setIsBilled") -> dict[str, str]:
    """The last outcome of each entry."""
    return {line["entry_id"]: line["outcome"] for line in lines(folder) if line["operation"] == operation}
