"""
The columns of awork's other lists: people, projects, clients, tasks and the rest that time entries refer to.

Columns are the leaves of awork's models (https://developers.awork.com/apiv1) in snake_case; arrays are JSON. Behind
them come a timestamp for each date-time of the row itself (``created_on`` as ``created_at``), what is known beyond the
row, and ``extra``. :mod:`airflow_provider_awork.client.lists.resources` has the endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_awork.columns.model import (
    DERIVED,
    Column,
    ColumnType,
    ObjectsInRows,
    RowModel,
    Values,
    leaf_column,
)
from airflow_provider_awork.columns.times import parse_instant

IS_API_USER = Column(
    "is_api_user",
    ColumnType.BOOLEAN,
    DERIVED,
    "Whether the user is an API user, not a person: awork lists it under /apiusers. Null where that list is hidden.",
)
OF_PROJECT_ID = Column(
    "of_project_id", ColumnType.TEXT, DERIVED, "The project whose list this is; null in the list of all projects."
)
EXTRA = Column(
    "extra",
    ColumnType.JSON,
    DERIVED,
    "Keys the model does not know and values that do not fit their column; else null.",
)

_INSTANT = "instant"
_KINDS = {_INSTANT: ColumnType.TEXT, **{kind.name.lower(): kind for kind in ColumnType}}


@dataclass(frozen=True, kw_only=True)
class ListModel:
    """
    The columns of a list.

    :param row: what one row is, such as ``user``.
    :param leaves: ``path`` or ``path:kind`` words: the leaves of awork's model, ``text`` if no kind is named,
        ``instant`` for a date-time. Files of different versions are read together, so they are only ever appended.
    :param derived: columns for what is known beyond the row.
    """

    row: str
    leaves: str
    derived: tuple[Column, ...] = ()

    @property
    def marks_api_users(self) -> bool:
        return IS_API_USER in self.derived

    def to_row_model(self, *, project_id: str | None = None, api_user_ids: frozenset[str] | None = None) -> RowModel:
        """
        Return the model that decodes the rows.

        :param project_id: the project whose list it is.
        :param api_user_ids: the ids of the API users; None if they are unknown.
        """
        leaves = dict(word.partition(":")[::2] for word in self.leaves.split())
        columns = {
            path: leaf_column(path, _KINDS[kind or "text"], "As awork sends it.") for path, kind in leaves.items()
        }
        instants = [columns[path] for path, kind in leaves.items() if kind == _INSTANT]
        timestamps = [_timestamp(column) for column in instants]

        def derive(values: Values, _: Mapping[str, ObjectsInRows]) -> Values:
            ids = values["id"]
            derived: Values = {
                at.name: list(map(parse_instant, values[on.name])) for at, on in zip(timestamps, instants, strict=True)
            }
            if self.marks_api_users:
                derived[IS_API_USER.name] = [None if api_user_ids is None else row in api_user_ids for row in ids]
            if OF_PROJECT_ID in self.derived:
                derived[OF_PROJECT_ID.name] = [project_id] * len(ids)
            return derived

        return RowModel(
            name=self.row,
            leaves=tuple(columns.values()),
            derived=(*timestamps, *self.derived, EXTRA),
            derive=derive,
            rests_on={IS_API_USER.name: {"id"}} if self.marks_api_users else {},
            distinct=frozenset({"id", *(column.name for column in instants)}),
        )


def _timestamp(column: Column) -> Column:
    name = re.sub("_(on|date)$", "_at", column.name)
    return Column(name, ColumnType.TIMESTAMP_UTC, DERIVED, f"{column.name} as a timestamp.")


_AUDIT = "createdOn:instant createdBy updatedOn:instant updatedBy"
_TASK = (
    "id name description isPrio:boolean startOn:instant dueOn:instant laneOrder:integer plannedDuration:integer "
    "taskNumber:integer taskIdentifier isExternal:boolean createdVia isHiddenForConnectUsers:boolean baseType "
    "taskStatusId taskStatus.id taskStatus.name taskStatus.type taskStatus.order:number taskStatus.icon "
    "taskStatus.projectId taskStatus.projectTypeId taskStatus.workflowId taskStatus.createdOn taskStatus.createdBy "
    "taskStatus.updatedOn taskStatus.updatedBy taskStatus.isExternal:boolean typeOfWorkId typeOfWork.id "
    "typeOfWork.name typeOfWork.icon typeOfWork.isArchived:boolean assignees:json projectId project.id project.name "
    "project.projectKey project.projectStatus.id project.projectStatus.name project.projectStatus.description "
    "project.projectStatus.type project.projectStatus.isArchived:boolean project.company.id project.company.name "
    "project.company.hasImage:boolean project.company.description project.companyId project.projectType.id "
    "project.projectType.name project.projectType.icon project.projectType.isArchived:boolean "
    "project.hasImage:boolean project.isPrivate:boolean project.isBillableByDefault:boolean project.members:json "
    "project.color project.createdBy project.teams:json project.customFields:json project.isExternal:boolean "
    "correlationId parentId parentTask.id parentTask.name parentTask.createdBy parentTask.userId "
    "parentTask.assigneeIds:json isSubtask:boolean numberOfSubtasks:integer hasAttachment:boolean lists:json entityId "
    "userId tags:json closedOn:instant closedBy order:number subtaskOrder:number createdFromTaskId "
    "isRecurring:boolean customFields:json trackedDuration:integer totalTrackedDuration:integer "
    "totalPlannedDuration:integer resourceVersion:integer checklistItemsDoneCount:integer checklistItemsCount:integer "
    "taskSchedulesCount:integer isCompletelyScheduled:boolean commentCount:integer " + _AUDIT
)

LIST_MODELS: Mapping[str, ListModel] = {
    "users": ListModel(
        row="user",
        derived=(IS_API_USER,),
        leaves=(
            "id firstName lastName birthDate gender title position language status.invitationAccepted:boolean "
            "status.isDeactivated:boolean isArchived:boolean isDeactivated:boolean isAgent:boolean "
            "deactivatedOn:instant deletedOn:instant hasImage:boolean shouldMigrateToConnect:boolean "
            "userContactInfos:json resourceVersion:integer tags:json teams:json isExternal:boolean " + _AUDIT
        ),
    ),
    "apiusers": ListModel(
        row="API user",
        leaves=("id name roleId clientId " + _AUDIT),
    ),
    "teams": ListModel(
        row="team",
        leaves=("id name icon color userIds:json projectIds:json " + _AUDIT),
    ),
    "companies": ListModel(
        row="company",
        leaves=(
            "id name description industry hasImage:boolean companyContactInfos:json resourceVersion:integer tags:json "
            "projectsCount:integer projectsInProgressCount:integer isExternal:boolean " + _AUDIT
        ),
    ),
    "projects": ListModel(
        row="project",
        leaves=(
            "id name isPrivate:boolean description startDate:instant dueDate:instant companyId timeBudget:integer "
            "isBillableByDefault:boolean projectTypeId color deductNonBillableHours:boolean "
            "isProjectKeyVisible:boolean projectStatusId projectTemplateId publicProjectTemplateId workflowId "
            "projectKey hasImage:boolean closedOn:instant closedBy createdByProjectTemplateId projectType.id "
            "projectType.name projectType.icon projectType.isArchived:boolean projectStatus.id projectStatus.name "
            "projectStatus.description projectStatus.type projectStatus.isArchived:boolean "
            "projectStatus.typeOrder:integer projectStatus.isExternal:boolean company.id company.name "
            "company.hasImage:boolean company.description company.tags:json tags:json plannedDuration:integer "
            "totalPlannedDurationWithHierarchy:integer tasksCount:integer tasksDoneCount:integer members:json "
            "trackedDuration:integer customFields:json resourceVersion:integer teams:json isExternal:boolean "
            "isRetainer:boolean isMultiAssignmentAllowed:boolean " + _AUDIT
        ),
    ),
    "projecttypes": ListModel(
        row="project type",
        leaves=("id name description icon isArchived:boolean isPreset:boolean " + _AUDIT),
    ),
    "projectstatuses": ListModel(
        row="project status",
        derived=(OF_PROJECT_ID,),
        leaves=("id name type order:integer projectTemplateId projectId workflowId isExternal:boolean " + _AUDIT),
    ),
    "workflows": ListModel(
        row="workflow",
        leaves=("id name icon isArchived:boolean isExternal:boolean " + _AUDIT),
    ),
    "typeofwork": ListModel(
        row="type of work",
        leaves=("id name description icon isArchived:boolean " + _AUDIT),
    ),
    "projecttasks": ListModel(
        row="task",
        leaves=_TASK,
    ),
    "allavailabletasks": ListModel(
        row="task",
        leaves=_TASK,
    ),
    "tasklists": ListModel(
        row="task list",
        derived=(OF_PROJECT_ID,),
        leaves=(
            "id name order:number plannedDuration:integer totalPlannedDuration:integer "
            "totalPlannedDurationWithHierarchy:integer isArchived:boolean isHiddenForConnectUsers:boolean "
            "trackedDuration:integer " + _AUDIT
        ),
    ),
    "taskstatuses": ListModel(
        row="task status",
        derived=(OF_PROJECT_ID,),
        leaves=("id name type order:number icon projectId projectTypeId workflowId isExternal:boolean " + _AUDIT),
    ),
    "taskschedules": ListModel(
        row="task schedule",
        leaves=("id userId taskId startDate:instant endDate:instant plannedDuration:integer " + _AUDIT),
    ),
    "projectmembers": ListModel(
        row="project member",
        derived=(OF_PROJECT_ID,),
        leaves=(
            "id userId firstName lastName hasImage:boolean projectRoleId projectRoleName isResponsible:boolean "
            "isDeactivated:boolean isExternal:boolean"
        ),
    ),
    "projectmilestones": ListModel(
        row="milestone",
        leaves=("id name color dueDate:instant projectId project:json " + _AUDIT),
    ),
    "retainers": ListModel(
        row="retainer",
        leaves=(
            "id timeBudget:integer timezone rollOverUnderspentBudget:boolean rollOverOverspentBudget:boolean "
            "startDate:instant endDate:instant syncProjectDates:boolean retainerPeriod projectId isExternal:boolean "
            "retainerBudgets:json " + _AUDIT
        ),
    ),
    "projectroles": ListModel(
        row="project role",
        leaves=(
            "id name isDefault:boolean defaultProjectRoleId allowOnlyProjectMasterDataRead:boolean "
            "memberCount:integer members:json " + _AUDIT
        ),
    ),
    "roles": ListModel(
        row="role",
        leaves=(
            "id name isAdminRole:boolean isGuestRole:boolean isAgentRole:boolean isPreset:boolean isArchived:boolean "
            + _AUDIT
        ),
    ),
    "absences": ListModel(
        row="absence",
        leaves=(
            "id userId startOn:instant endOn:instant description externalProvider deletedOn:instant deletedBy "
            "isReadOnly:boolean isHalfDayOnStart:boolean isHalfDayOnEnd:boolean " + _AUDIT
        ),
    ),
    "workspaceabsences": ListModel(
        row="company holiday",
        leaves=(
            "id startOn:instant endOn:instant description regionId region isReadOnly:boolean isHalfDayOnStart:boolean "
            "isHalfDayOnEnd:boolean " + _AUDIT
        ),
    ),
    "absenceregions": ListModel(
        row="absence region",
        leaves=(
            "id name countryCode country locationCode location isDefault:boolean numberOfPublicHolidays:integer "
            "assignedUsers:json " + _AUDIT
        ),
    ),
    "timebookings": ListModel(
        row="time booking",
        leaves=(
            "id userId projectId startDate endDate duration:integer description laneOrder:integer "
            "isAnonymized:boolean " + _AUDIT
        ),
    ),
    "customfielddefinitions": ListModel(
        row="custom field",
        derived=(OF_PROJECT_ID,),
        leaves=(
            "id name entity type order:number isExternal:boolean selectionOptions:json linkedProjectIds:json " + _AUDIT
        ),
    ),
}
