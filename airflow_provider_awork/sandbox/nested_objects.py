"""The objects that an entry repeats of its user, project, task and type of work, from the rows of those."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_awork.sandbox.store import Store

Row = dict[str, Any]

# The id field of an entry, the object beside it, and the resource that both come from.
REFERENCES = {
    "typeOfWorkId": ("typeOfWork", "typeofwork"),
    "userId": ("user", "users"),
    "projectId": ("project", "projects"),
    "taskId": ("task", "projecttasks"),
}

_FIELDS = {
    "typeOfWork": "id name icon isArchived",
    "user": "id firstName lastName hasImage isExternal",
    "project": "id name projectKey projectStatus company projectType isPrivate hasImage isExternal "
    "isBillableByDefault createdBy",
    "task": "id name baseType taskIdentifier taskStatusId taskStatus typeOfWorkId projectId plannedDuration closedOn "
    "createdBy correlationId parentId parentTask",
    "projectStatus": "id name description type isArchived",
    "company": "id name hasImage description",
    "projectType": "id name icon isArchived",
    "taskStatus": "id name description type order icon",
    "parentTask": "id name",
}
_SIMPLIFIED = {
    "entry": "id duration startDateUtc startDateLocal startTimeLocal isBillable isBilled createdBy createdOn taskId "
    "task projectId project userId user typeOfWorkId typeOfWork",
    "task": "id name baseType createdBy projectId correlationId parentId taskStatusId taskStatus",
    "taskStatus": "id name description type order icon",
    "project": "id name hasImage company",
    "company": "id hasImage",
    "user": "id firstName lastName hasImage",
    "typeOfWork": "id name icon",
}


def nested_object(store: Store, reference: str, row_id: str) -> Row | None:
    """
    The object that belongs to an id field of an entry; None if no row has the id.

    :param reference: a name of ``REFERENCES``.
    """
    name, table = REFERENCES[reference]
    text = store.find(table, row_id)
    if text is None:
        return None
    found = _picked(json.loads(text), name, _FIELDS)
    if name == "task" and found.get("projectId"):
        found["project"] = nested_object(store, "projectId", found["projectId"])
    return found


def simplified(entry: Row) -> Row:
    """An entry as ``/timeentries/simplified`` shows it."""
    return _picked(entry, "entry", _SIMPLIFIED)


def _picked(row: Row, kind: str, fields: dict[str, str]) -> Row:
    chosen = {name: row[name] for name in fields[kind].split() if row.get(name) is not None}
    return {
        name: _picked(value, name, fields) if isinstance(value, dict) and name in fields else value
        for name, value in chosen.items()
    }
