"""
The hook in TaskFlow tasks: count open billing first, then walk through it in constant memory.

Whatever fails for good (a wrong key, a bad filter) fails the task at once, also here.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, task

BACKLOG = "isBillable eq true and isBilled eq false"

with DAG(
    dag_id="awork_hook_in_taskflow",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["awork"],
    doc_md=__doc__,
):

    @task
    def count_backlog() -> int:
        from airflow_provider_awork.hooks.awork import AworkHook

        return AworkHook().count_time_entries(filterby=BACKLOG)

    @task(multiple_outputs=False)  # a dict annotation alone would push one XCom per client name
    def hours_by_client(count: int) -> dict[str, float]:
        from airflow_provider_awork.hooks.awork import AworkHook

        hours: dict[str, float] = {}
        for entry in AworkHook().get_time_entries(filterby=BACKLOG):
            client = entry.get("project", {}).get("company", {}).get("name", "without a client")
            hours[client] = hours.get(client, 0) + entry.get("duration", 0) / 3600
        print(f"{count} entries to bill, for {len(hours)} clients")
        return {client: round(total, 2) for client, total in sorted(hours.items())}

    hours_by_client(count_backlog())
