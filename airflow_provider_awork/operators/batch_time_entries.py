"""The operator that changes many time entries, such as marking them as billed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_awork.billing.entry_keys import EntryKey, entry_keys
from airflow_provider_awork.billing.published_keys import read_keys
from airflow_provider_awork.client.selection import refuse_blank_parameters
from airflow_provider_awork.exceptions import AworkConfigError
from airflow_provider_awork.files.ledger import Ledger, open_ledger, read_ledger
from airflow_provider_awork.files.manifest import MANIFEST_NAME
from airflow_provider_awork.files.marker import Owner
from airflow_provider_awork.files.spool import spool_folder
from airflow_provider_awork.hooks.awork import AworkHook
from airflow_provider_awork.operators.base import AworkStoppableOperator
from airflow_provider_awork.operators.rendered import read_flag, read_ids, read_output

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_awork.billing.batch_report import BatchReport

LOGGED_IDS = 100


class AworkBatchTimeEntriesOperator(AworkStoppableOperator):
    """
    Change many time entries by one of awork's batch operations, such as marking them as billed: exactly those, each
    once, and without harm when it runs again.

    The entries go through in chunks. Each chunk is read again right before it is changed:

    * Entries that are as asked already are left alone, and counted with who changed them last. With a ledger,
      ``setIsBilled`` True reports those that no run with this ledger has billed: somebody else did, perhaps after the
      entry was changed.
    * Entries that were changed since the export are left alone, too, and reported: what is on the invoice is no longer
      what is in awork.
    * Entries that are gone are reported.
    * Entries whose timer runs or is paused (a start time and no end time, whatever the duration) are not marked as
      billed, and reported: their time is not known yet. Leave them out of the export with ``duration gt 0``.

    A *ledger* records what is sent, before and after each chunk: entry, version before and after, outcome, dag, run and
    time. It lies beside the manifest, as ``_ledger-<operation>-*.ndjson`` (:mod:`.ledger`;
    ``python -m airflow_provider_awork ledger show <destination>`` prints it). So a run that was killed half way is
    simply run again: it finds what was sent, finishes the rest and reports the whole. Versions in the ledger move on
    with each of these changes, so several operations may follow each other on one manifest. One run at a time writes a
    ledger; others wait up to 15 minutes.

    If an answer of awork is lost, or awork refuses a chunk with 429, the chunk is read again before anything else is
    sent. awork has no conditional writes, so somebody may change an entry between the last look at its chunk and the
    change. The report has the longest such time; it is usually well under a second. If awork does not filter on
    ``updatedOn``, it is the whole reading of a chunk, seconds for plain ids and for entries far apart, and the log says
    so. With a ledger, the chunk is read once more after the change: an entry whose fields that money rests on changed
    in between is reported.

    Source: https://developers.awork.com/apiv1/time-entries/post-time-entries-batch-by-operation

    :param operation: ``setIsBilled``, ``setIsBillable`` (False also clears *billed*), ``setTypeOfWork``,
        ``setProject`` (drops the task), ``setTask``, ``setUser`` or ``delete``. (templated)
    :param value: what the operation sets: True or False, or a GUID; none for ``delete``. (templated)
    :param time_entry_ids: which entries: GUIDs as a list, an XCom or a text with commas, or dicts as
        ``AworkTimeEntriesOperator`` gives them with the fields ``id``, ``createdOn``, ``updatedOn`` and
        ``resourceVersion``. The same entry twice counts once; two versions of it are an error. Plain ids cost one
        request each (at the default pace 900 a minute), and whether an entry was changed since cannot be known; with
        ``createdOn`` a thousand entries share a request. (templated)
    :param manifest: instead of ids: the export of ``AworkTimeEntriesToObjectStorageOperator`` that holds the entries,
        as its output (``export.output``, which also proves that the set is still the same), its destination, or the
        path of its ``_manifest.json``. Its files are read and checked before the first change. (templated)
    :param ledger: prefix for the ledger of ``time_entry_ids``, such as ``s3://conn_id@bucket/prefix``; without one, the
        report cannot tell who billed an entry that is billed already. With a manifest, another place than beside it.
        (templated)
    :param compare: what makes an entry a changed one: ``version``, any change at all; ``content``, a change of
        ``duration``, ``isBillable``, user, project, task, type of work or day.
    :param chunk_size: entries of one request, at most 1000.
    :param require_all: change nothing unless every entry can be changed. All are looked at before the first change, and
        awork leaves a chunk alone if it refuses one of its entries; the chunks after it are then not tried.
    :param dry_run: only report what would change and, as ``failed``, what could not; nothing of it fails the task.
    :param ignore_not_found: entries that are gone are no failure.
    :param overwrite_changed: also change entries that were changed since the export.
    :param confirm_delete: ``delete`` needs True here; awork cannot bring deleted entries back.
    :param spool_folder: local folder for the files of the manifest; None takes the system's temporary one. (templated)
    :param awork_conn_id: Airflow connection of type ``awork``. (templated)
    :return: the report: ``entries``, ``changed``, ``already`` and ``already_by`` (users), ``to_change`` (of a dry run),
        ``changed_later`` (entries of an earlier run that were changed since), ``failed`` (counts by kind),
        ``first_failed`` (ids), ``ledger`` (its prefix) and ``look_to_write_seconds`` (the longest). If the task fails
        it is the XCom ``report``. If an error, a time-out or a signal ended it half way, ``unfinished`` are those that
        awork may have changed, ``not sent`` those of the same chunk that nothing was sent for, ``not_reached`` those
        after them.
    :raises AworkBatchError: entries are not as asked: gone, changed since the export, running, billed by
        somebody else, refused by awork.
    :raises AworkConfigError: a parameter cannot work, such as a flag that is a text (flags are not templated), or the
        manifest is missing or of another workspace or set.
    :raises AworkPublishError: files of the manifest are missing or damaged.
    :raises AworkTransportError: awork's answers were lost again and again.

    .. code-block:: python

        mark_billed = AworkBatchTimeEntriesOperator(
            task_id="mark_billed",
            operation="setIsBilled",
            value=True,
            manifest="s3://aws_default@my-lake/awork/invoices/2026-11",
            max_active_tis_per_dag=1,
        )
    """

    template_fields: Sequence[str] = (
        "operation",
        "value",
        "time_entry_ids",
        "manifest",
        "ledger",
        "spool_folder",
        "awork_conn_id",
    )
    template_fields_renderers = {"time_entry_ids": "json", "manifest": "json"}

    def __init__(
        self,
        *,
        operation: str,
        value: bool | str | None = None,
        time_entry_ids: Sequence[str | Mapping[str, Any]] | str | None = None,
        manifest: str | Mapping[str, Any] | ObjectStoragePath | None = None,
        ledger: str | ObjectStoragePath | None = None,
        compare: str = "version",
        chunk_size: int = 500,
        require_all: bool = False,
        dry_run: bool = False,
        ignore_not_found: bool = False,
        overwrite_changed: bool = False,
        confirm_delete: bool = False,
        spool_folder: str | None = None,
        awork_conn_id: str = AworkHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.value = value
        self.time_entry_ids = time_entry_ids
        self.manifest = manifest
        self.ledger = ledger
        self.compare = compare
        self.chunk_size = chunk_size
        self.require_all = require_all
        self.dry_run_only = dry_run  # dry_run is a method of every operator
        self.ignore_not_found = ignore_not_found
        self.overwrite_changed = overwrite_changed
        self.confirm_delete = confirm_delete
        self.spool_folder = spool_folder
        self.awork_conn_id = awork_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_awork.billing.batch_changes import BatchChange  # loads requests

        self._check_parameters()
        change = BatchChange(
            operation=self.operation,
            value=read_flag(self.value) if str(self.operation).startswith("setIs") else self.value,
            chunk_size=self.chunk_size,
            require_all=self.require_all,
            dry_run=self.dry_run_only,
            ignore_not_found=self.ignore_not_found,
            overwrite_changed=self.overwrite_changed,
            compare=self.compare,
        )
        path = self._ledger_path()
        with self.stoppable(), self._keys() as keys, self._open_ledger(path, context) as ledger:
            self.hook.warn_if_entries_are_hidden()
            permissions = self.hook.client.access.identity.permissions
            report = change.run(
                self.hook.client,
                keys,
                identity=self.hook.identity,
                ledger=ledger,
                ledger_path=str(path) if path else None,
                on_stop=lambda part: self._leave_partial_report(context, part),
            )
        self._log_report(report)
        summary = report.to_dict()
        if report.failures() and not self.dry_run_only:
            context["ti"].xcom_push(key="report", value=summary)
        self.hook.client.access.require_unchanged(permissions)  # else entries that are hidden by now count as gone
        if not self.dry_run_only:
            report.raise_for_failures()
        return summary

    def _leave_partial_report(self, context: Context, report: BatchReport) -> None:
        self._log_report(report)
        try:
            context["ti"].xcom_push(key="report", value=report.to_dict())
        except Exception:  # a signal may have interrupted another message to Airflow; the first error counts
            self.log.warning("The report cannot be pushed to XCom; the log and the ledger have it", exc_info=True)

    def _log_report(self, report: BatchReport) -> None:
        self.log.info("%s", report)
        for kind, ids in report.failed.items():
            self.log.warning("%s: %s", kind, ", ".join(ids[:LOGGED_IDS]) + (" ..." if len(ids) > LOGGED_IDS else ""))

    def _check_parameters(self) -> None:
        if (self.time_entry_ids is None) == (self.manifest is None):
            raise AworkConfigError(
                "time_entry_ids and manifest: pass exactly one of them. None can also be what an upstream task "
                "returned that was skipped."
            )
        refuse_blank_parameters(self, "time_entry_ids", "ledger")
        if self.operation == "delete" and self.confirm_delete is not True and not self.dry_run_only:
            raise AworkConfigError(
                "confirm_delete: not True, and awork cannot bring deleted time entries back. Pass confirm_delete=True "
                "if that is meant; dry_run=True says what would be deleted"
            )

    @contextmanager
    def _keys(self) -> Iterator[Collection[EntryKey]]:
        if self.time_entry_ids is not None:
            ids = read_ids(self.time_entry_ids)
            if not ids and isinstance(self.time_entry_ids, str) and not self.time_entry_ids.strip().startswith("["):
                raise AworkConfigError(f"time_entry_ids: no id in {self.time_entry_ids!r}")
            yield entry_keys(ids)
            return
        destination, sha256 = self._destination()
        with spool_folder(Path(self.spool_folder) if self.spool_folder else None) as folder:
            workspace = self.hook.identity.workspace_id
            keys = read_keys(destination, folder=folder, workspace_id=workspace, sha256=sha256)
            self.log.info("%d time entries in the set at %s", len(keys), destination)
            yield keys

    def _ledger_path(self) -> ObjectStoragePath | None:
        if self.ledger is not None:
            return _prefix("ledger", self.ledger)
        return self._destination()[0] if self.manifest is not None else None

    @contextmanager
    def _open_ledger(self, path: ObjectStoragePath | None, context: Context) -> Iterator[Ledger | None]:
        if path is None:
            self.log.info("No ledger is kept: pass ledger= to know who changed what is as asked already")
            yield None
        elif self.dry_run_only:
            yield read_ledger(path)
        else:
            with open_ledger(path, owner=Owner.of(context["ti"])) as ledger:
                yield ledger

    def _destination(self) -> tuple[ObjectStoragePath, str | None]:
        given = read_output(self.manifest)
        if isinstance(given, Mapping):
            return _prefix("manifest", given.get("destination")), given.get("sha256")
        return _prefix("manifest", given), None


def _prefix(name: str, given: Any) -> ObjectStoragePath:
    prefix = str(given or "").removesuffix("/").removesuffix(f"/{MANIFEST_NAME}")
    try:
        if not prefix:
            raise ValueError("it is empty")
        return ObjectStoragePath(prefix)
    except ValueError as error:
        kind = "neither a transfer's output nor a prefix" if name == "manifest" else "not a prefix"
        raise AworkConfigError(f"{name}: {given!r} is {kind} such as s3://conn_id@bucket/prefix ({error})") from None
