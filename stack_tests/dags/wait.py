"""A deferred sensor, started by hand; the run's ``conf`` names the note that it waits for."""

from airflow.sdk import DAG

from airflow_provider_awork.sensors.time_entries import AworkTimeEntriesSensor

with DAG("wait", schedule=None):
    AworkTimeEntriesSensor(
        task_id="wait",
        filterby="note eq '{{ dag_run.conf.note }}'",
        poke_interval=2,
        timeout=600,
        deferrable=True,
    )
