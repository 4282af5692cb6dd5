"""A run for each change of the entries that a watcher looks at."""

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_awork.triggers.time_entries import AworkTimeEntriesEventTrigger

changes = AworkTimeEntriesEventTrigger(filterby="startswith(note, 'watch me')", poke_interval=5)
watched = Asset("watched", watchers=[AssetWatcher(name="watched", trigger=changes)])

with DAG("watch", schedule=[watched]):

    @task
    def tell(triggering_asset_events: dict[Asset, list]) -> list[dict]:
        """What the run was told of."""
        return [event.extra["payload"] for events in triggering_asset_events.values() for event in events]

    tell()
