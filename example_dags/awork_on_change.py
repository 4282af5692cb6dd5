"""
React to changes: a run starts when somebody books, changes or stops a timer, at most a minute later.

``AworkTimeEntriesEventTrigger`` runs in the triggerer and asks awork once a minute. Its events say how many entries
changed, and up to where; this DAG recounts the hours of the current month by client. An event may come twice after a
crash of the triggerer, then with the same ``event_id``: what may not happen twice should keep the ids it has seen.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger

CHANGES = AworkTimeEntriesEventTrigger(filterby="isBillable eq true", poke_interval=60)
BILLABLE = Asset("awork_billable_entries", watchers=[AssetWatcher(name="awork_billable_entries", trigger=CHANGES)])

with DAG(
    dag_id="awork_on_change",
    schedule=[BILLABLE],
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["awork"],
    doc_md=__doc__,
):

    @task
    def changes(triggering_asset_events: Any = None) -> dict[str, Any]:
        """Several events may have started one run."""
        payloads = [event.extra["payload"] for event in (triggering_asset_events or {}).get(BILLABLE, [])]
        return {payload["event_id"]: payload["changed"] for payload in payloads}

    @task(multiple_outputs=False)
    def hours_by_client(changed: dict[str, Any]) -> dict[str, float]:
        print(f"{sum(changed.values())} changes in {len(changed)} events")
        seconds: dict[str, int] = defaultdict(int)
        for entry in AworkHook().get_time_entries(filterby="isBillable eq true and startDateLocal ge som"):
            client = entry.get("project", {}).get("company", {}).get("name", "without a client")
            seconds[client] += entry.get("duration", 0)
        return {client: round(total / 3600, 2) for client, total in seconds.items()}

    hours_by_client(changes())
