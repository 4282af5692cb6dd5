"""
awork's other lists as data: people, projects, clients, tasks and what else time entries refer to.

``RESOURCES`` has each list by its name: where it is, what awork takes as parameters, and what its rows are. Columns
are the leaves of awork's models (https://developers.awork.com/apiv1) in snake_case, arrays being JSON. Behind them come
a timestamp for each date-time of the row itself (``created_on`` as ``created_at``), what is known beyond the row, and
``extra``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_awork.client.entries.arguments import checked_id
from airflow_provider_awork.columns.time_entry import (
    DERIVED,
    Column,
    ColumnType,
    ObjectsInRows,
    RowModel,
    Values,
    instant,
)
from airflow_provider_awork.exceptions import AworkConfigError

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
class Resource:
    """
    A list of awork.

    :param row: what one row is, such as ``user``.
    :param schema: name of the row's model in awork's OpenAPI document.
    :param leaves: ``path`` or ``path:kind`` words: the leaves of that model, ``text`` if no kind is named, ``instant``
        for a date-time. Files of different versions are read together, so they are only ever appended.
    :param derived: columns for what is known beyond the row.
    :param path: below the base URL; None if there is a list of each project only.
    :param project_path: of a project's own list, below the project; None if there is none.
    :param paged: whether it pages and takes ``filterby``; else awork sends it whole.
    :param archivable: whether it takes ``showArchived``.
    :param params: query parameters that are always sent.
    :param feature: awork's permission without which the list shrinks in silence to what is one's own.
    """

    row: str
    schema: str
    leaves: str
    derived: tuple[Column, ...] = ()
    path: str | None = None
    project_path: str | None = None
    paged: bool = True
    archivable: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    feature: str | None = None

    def model(self, *, project_id: str | None = None, api_user_ids: frozenset[str] | None = None) -> RowModel:
        """
        What the rows are.

        :param project_id: the project whose list it is.
        :param api_user_ids: the ids of the API users; None if they are unknown.
        """
        leaves = dict(word.partition(":")[::2] for word in self.leaves.split())
        columns = {path: _column(path, kind, leaves) for path, kind in leaves.items()}
        instants = [columns[path] for path, kind in leaves.items() if kind == _INSTANT]
        timestamps = [_timestamp(column) for column in instants]

        def derive(values: Values, _: Mapping[str, ObjectsInRows]) -> Values:
            ids = values["id"]
            derived: Values = {
                at.name: list(map(instant, values[on.name])) for at, on in zip(timestamps, instants, strict=True)
            }
            if IS_API_USER in self.derived:
                derived[IS_API_USER.name] = [None if api_user_ids is None else row in api_user_ids for row in ids]
            if OF_PROJECT_ID in self.derived:
                derived[OF_PROJECT_ID.name] = [project_id] * len(ids)
            return derived

        return RowModel(
            name=self.row,
            columns=(*columns.values(), *timestamps, *self.derived, EXTRA),
            derive=derive,
            distinct=frozenset({"id", *(column.name for column in instants)}),
        )


def find_resource(name: str) -> Resource:
    """
    The list of that name.

    :raises AworkConfigError: there is none; the message has the names.
    """
    if name not in RESOURCES:
        raise AworkConfigError(f"resource: {name!r} is not one of {', '.join(RESOURCES)}")
    return RESOURCES[name]


def list_path(name: str, project_id: str | None = None) -> str:
    """
    Where a list is, below the base URL.

    :param name: of the list.
    :param project_id: of the project whose list it is (GUID); None for the list of all projects.
    :raises AworkConfigError: there is no such list.
    """
    resource = find_resource(name)
    if project_id:
        if resource.project_path is None:
            raise AworkConfigError(f"project_id: awork has no {name} of one project; leave it out")
        return f"projects/{checked_id(project_id, 'project_id')}/{resource.project_path}"
    if resource.path is None:
        raise AworkConfigError(f"project_id: awork lists {name} by project only; pass the id of one, or map over them")
    return resource.path


def comes_whole(path: str) -> bool:
    """
    Whether the list at a path below the base URL does not page: awork sends it whole, and ignores filters and orders.

    >>> comes_whole("roles"), comes_whole("projects/1eeda989-becb-4e01-bb25-f34a035d7017/members"), comes_whole("users")
    (True, True, False)
    """
    of_project = re.fullmatch("projects/[^/]+/(.+)", path)
    place = (None, of_project[1]) if of_project else (path, None)
    return any(
        place in ((resource.path, None), (None, resource.project_path))
        for resource in RESOURCES.values()
        if not resource.paged
    )


def _column(path: str, kind: str, leaves: Mapping[str, str]) -> Column:
    name = re.sub("[A-Z]", lambda match: "_" + match[0].lower(), path.replace(".", "_"))
    owner = path.removesuffix(".id")
    if owner != path and f"{owner}Id" in leaves:
        name = f"{name.removesuffix('_id')}_nested_id"
    return Column(name, _KINDS[kind or "text"], path, "As awork sends it.")


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

RESOURCES: Mapping[str, Resource] = {
    "users": Resource(
        row="user",
        schema="User",
        path="users",
        archivable=True,
        feature="user-master-data",
        derived=(IS_API_USER,),
        leaves=(
            "id firstName lastName birthDate gender title position language status.invitationAccepted:boolean "
            "status.isDeactivated:boolean isArchived:boolean isDeactivated:boolean isAgent:boolean "
            "deactivatedOn:instant deletedOn:instant hasImage:boolean shouldMigrateToConnect:boolean "
            "userContactInfos:json resourceVersion:integer tags:json teams:json isExternal:boolean " + _AUDIT
        ),
    ),
    "apiusers": Resource(
        row="API user",
        schema="ApiUser",
        path="apiusers",
        paged=False,
        leaves=("id name roleId clientId " + _AUDIT),
    ),
    "teams": Resource(
        row="team",
        schema="Team",
        path="teams",
        params={"includeUserIds": "true", "includeProjectIds": "true"},
        leaves=("id name icon color userIds:json projectIds:json " + _AUDIT),
    ),
    "companies": Resource(
        row="company",
        schema="Company",
        path="companies",
        feature="company-master-data",
        leaves=(
            "id name description industry hasImage:boolean companyContactInfos:json resourceVersion:integer tags:json "
            "projectsCount:integer projectsInProgressCount:integer isExternal:boolean " + _AUDIT
        ),
    ),
    "projects": Resource(
        row="project",
        schema="Project",
        path="projects",
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
    "projecttypes": Resource(
        row="project type",
        schema="ProjectType",
        path="projecttypes",
        archivable=True,
        leaves=("id name description icon isArchived:boolean isPreset:boolean " + _AUDIT),
    ),
    "projectstatuses": Resource(
        row="project status",
        schema="ProjectStatus",
        path="projectstatuses",
        project_path="projectstatuses",
        archivable=True,
        derived=(OF_PROJECT_ID,),
        leaves=("id name type order:integer projectTemplateId projectId workflowId isExternal:boolean " + _AUDIT),
    ),
    "workflows": Resource(
        row="workflow",
        schema="Workflow",
        path="workflows",
        archivable=True,
        leaves=("id name icon isArchived:boolean isExternal:boolean " + _AUDIT),
    ),
    "typeofwork": Resource(
        row="type of work",
        schema="TypeOfWork",
        path="typeofwork",
        archivable=True,
        leaves=("id name description icon isArchived:boolean " + _AUDIT),
    ),
    "projecttasks": Resource(
        row="task",
        schema="TaskModel",
        path="me/projecttasks",
        project_path="projecttasks",
        feature="project-planning-data",
        leaves=_TASK,
    ),
    "allavailabletasks": Resource(
        row="task",
        schema="TaskModel",
        path="me/allavailabletasks",
        leaves=_TASK,
    ),
    "tasklists": Resource(
        row="task list",
        schema="TaskList",
        project_path="tasklists",
        archivable=True,
        derived=(OF_PROJECT_ID,),
        leaves=(
            "id name order:number plannedDuration:integer totalPlannedDuration:integer "
            "totalPlannedDurationWithHierarchy:integer isArchived:boolean isHiddenForConnectUsers:boolean "
            "trackedDuration:integer " + _AUDIT
        ),
    ),
    "taskstatuses": Resource(
        row="task status",
        schema="TaskStatus",
        project_path="taskstatuses",
        derived=(OF_PROJECT_ID,),
        leaves=("id name type order:number icon projectId projectTypeId workflowId isExternal:boolean " + _AUDIT),
    ),
    "taskschedules": Resource(
        row="task schedule",
        schema="TaskSchedule",
        path="taskschedules",
        paged=False,
        leaves=("id userId taskId startDate:instant endDate:instant plannedDuration:integer " + _AUDIT),
    ),
    "projectmembers": Resource(
        row="project member",
        schema="ProjectMember",
        project_path="members",
        paged=False,
        derived=(OF_PROJECT_ID,),
        leaves=(
            "id userId firstName lastName hasImage:boolean projectRoleId projectRoleName isResponsible:boolean "
            "isDeactivated:boolean isExternal:boolean"
        ),
    ),
    "projectmilestones": Resource(
        row="milestone",
        schema="ProjectMilestone",
        path="projectmilestones",
        leaves=("id name color dueDate:instant projectId project:json " + _AUDIT),
    ),
    "retainers": Resource(
        row="retainer",
        schema="Retainer",
        project_path="retainers",
        leaves=(
            "id timeBudget:integer timezone rollOverUnderspentBudget:boolean rollOverOverspentBudget:boolean "
            "startDate:instant endDate:instant syncProjectDates:boolean retainerPeriod projectId isExternal:boolean "
            "retainerBudgets:json " + _AUDIT
        ),
    ),
    "projectroles": Resource(
        row="project role",
        schema="ProjectRole",
        path="projectroles",
        params={"includeMembers": "true"},
        leaves=(
            "id name isDefault:boolean defaultProjectRoleId allowOnlyProjectMasterDataRead:boolean "
            "memberCount:integer members:json " + _AUDIT
        ),
    ),
    "roles": Resource(
        row="role",
        schema="Role",
        path="roles",
        paged=False,
        archivable=True,
        leaves=(
            "id name isAdminRole:boolean isGuestRole:boolean isAgentRole:boolean isPreset:boolean isArchived:boolean "
            + _AUDIT
        ),
    ),
    "absences": Resource(
        row="absence",
        schema="Absence",
        path="absences",
        feature="user-planning-data",
        leaves=(
            "id userId startOn:instant endOn:instant description externalProvider deletedOn:instant deletedBy "
            "isReadOnly:boolean isHalfDayOnStart:boolean isHalfDayOnEnd:boolean " + _AUDIT
        ),
    ),
    "workspaceabsences": Resource(
        row="company holiday",
        schema="WorkspaceAbsenceModel",
        path="workspaceabsences",
        leaves=(
            "id startOn:instant endOn:instant description regionId region isReadOnly:boolean isHalfDayOnStart:boolean "
            "isHalfDayOnEnd:boolean " + _AUDIT
        ),
    ),
    "absenceregions": Resource(
        row="absence region",
        schema="AbsenceRegionModel",
        path="absenceregions",
        paged=False,
        leaves=(
            "id name countryCode country locationCode location isDefault:boolean numberOfPublicHolidays:integer "
            "assignedUsers:json " + _AUDIT
        ),
    ),
    "timebookings": Resource(
        row="time booking",
        schema="TimeBooking",
        path="timebookings",
        leaves=(
            "id userId projectId startDate endDate duration:integer description laneOrder:integer "
            "isAnonymized:boolean " + _AUDIT
        ),
    ),
    "customfielddefinitions": Resource(
        row="custom field",
        schema="CustomFieldDefinitionWithSelectionOptionsAndLinkedProjectIds",
        path="customfielddefinitions",
        project_path="customfielddefinitions",
        paged=False,
        params={"includeLinkedProjectIds": "true"},
        derived=(OF_PROJECT_ID,),
        leaves=(
            "id name entity type order:number isExternal:boolean selectionOptions:json linkedProjectIds:json " + _AUDIT
        ),
    ),
}
