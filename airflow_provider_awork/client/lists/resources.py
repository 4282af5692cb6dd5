"""
Every list endpoint of awork's API: path, paged or whole, parameters, and the permission that decides what it shows.

The table follows awork's OpenAPI document of 2026-08-20 (https://developers.awork.com/apiv1); a test compares the two.
``RESOURCES`` names the lists that time entries refer to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_awork.client.entries.arguments import checked_id
from airflow_provider_awork.client.identity import Permissions
from airflow_provider_awork.exceptions import AworkConfigError

TIME_ENTRIES = "timeentries"


@dataclass(frozen=True, kw_only=True)
class ListEndpoint:
    """
    A list endpoint of awork.

    :param path: path below the base URL, with ``{id}`` for each parameter in it.
    :param row_schema: name of the row's model in awork's OpenAPI document; ``string`` if rows are texts.
    :param is_paged: whether it takes ``page``, ``pageSize``, ``filterby`` and ``orderby``; otherwise awork returns all
        rows in one answer, unfiltered.
    :param parameters: further query parameters.
    :param permission: feature and level, such as ``user-master-data:read``, without which awork leaves out rows, or
        people of a row, and reports no error. None if there is none, or if awork's document does not name it, as for
        ``teams`` in workspaces with team restrictions; awork refuses some lists with an error instead.
    """

    path: str
    row_schema: str
    is_paged: bool
    parameters: frozenset[str] = frozenset()
    permission: str | None = None

    @property
    def has_time_entries(self) -> bool:
        return self.row_schema in ("TimeTracking", "SimplifiedTimeTracking")

    def is_whole_for(self, permissions: Permissions | None) -> bool | None:
        """
        Whether a key with these permissions sees the whole list; None if that is unknown.

        >>> LIST_ENDPOINTS["users"].is_whole_for(Permissions(is_admin=False, levels={}))
        False
        """
        if self.permission is None or permissions is None:
            return None
        return permissions.allow(*self.permission.split(":"))

    def matches(self, path: str) -> bool:
        own, given = self.path.split("/"), path.split("/")
        return len(own) == len(given) and all(
            segment in ("{id}", value) for segment, value in zip(own, given, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Resource:
    """
    A list that has a name and columns.

    :param name: its name.
    :param path: of the list of all projects; None if awork lists by project only.
    :param project_path: of the list of one project, with ``{id}`` for the project; None if there is none.
    :param params: query parameters that are always sent to an endpoint that takes them.
    """

    name: str
    path: str | None = None
    project_path: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def templates(self) -> tuple[str, ...]:
        """The paths of its endpoints in ``LIST_ENDPOINTS``."""
        return tuple(path for path in (self.path, self.project_path) if path)

    def endpoint(self, project_id: str | None = None) -> ListEndpoint:
        """
        Return the endpoint that lists all rows, or those of one project.

        :param project_id: the project (GUID); None for the rows of all projects.
        :raises AworkConfigError: awork has no such endpoint.
        """
        if project_id and self.project_path is None:
            raise AworkConfigError(f"project_id: awork has no {self.name} of one project; leave it out")
        if not project_id and self.path is None:
            raise AworkConfigError(
                f"project_id: awork lists {self.name} by project only; pass the id of one, or map over them"
            )
        return LIST_ENDPOINTS[(self.project_path if project_id else self.path) or ""]

    def fill_path(self, project_id: str | None = None) -> str:
        """
        Return the path below the base URL.

        :param project_id: the project (GUID); None for the rows of all projects.
        :raises AworkConfigError: awork has no such endpoint, or the id is not a GUID.
        """
        path = self.endpoint(project_id).path
        return path.replace("{id}", checked_id(project_id, "project_id")) if project_id else path


def find_resource(name: str) -> Resource:
    """
    Return the list of that name.

    :raises AworkConfigError: there is none; the message has the names.
    """
    if name not in RESOURCES:
        raise AworkConfigError(f"resource: {name!r} is not one of {', '.join(RESOURCES)}")
    return RESOURCES[name]


def find_endpoint(path: str) -> ListEndpoint | None:
    """
    Return the list endpoint at a path below the base URL; None if awork's document has none there.

    >>> find_endpoint("projects/1eeda989-becb-4e01-bb25-f34a035d7017/milestones").is_paged
    False
    >>> find_endpoint("projects/1eeda989-becb-4e01-bb25-f34a035d7017/projecttasks").is_paged
    True
    """
    path = path.partition("?")[0].strip("/").lower()  # awork's routes ignore case
    return LIST_ENDPOINTS.get(path) or next((each for each in LIST_ENDPOINTS.values() if each.matches(path)), None)


def time_entries_path(
    *, project_id: str | None = None, task_id: str | None = None, name_of_task_id: str = "task_id"
) -> str:
    """
    Return the path that lists time entries: all, or those of one project or task.

    :param name_of_task_id: name of the caller's parameter, for messages.
    :raises AworkConfigError: both are given, or one is not a GUID.
    """
    if project_id is not None and task_id is not None:
        raise AworkConfigError(f"project_id and {name_of_task_id}: pass one of them; a task belongs to one project")
    if project_id is not None:
        return f"projects/{checked_id(project_id, 'project_id')}/{TIME_ENTRIES}"
    if task_id is not None:
        return f"tasks/{checked_id(task_id, name_of_task_id)}/{TIME_ENTRIES}"
    return TIME_ENTRIES


def _paged(path: str, row_schema: str, parameters: str = "", *, permission: str | None = None) -> ListEndpoint:
    names = frozenset(parameters.split())
    return ListEndpoint(path=path, row_schema=row_schema, is_paged=True, parameters=names, permission=permission)


def _whole(path: str, row_schema: str, parameters: str = "", *, permission: str | None = None) -> ListEndpoint:
    names = frozenset(parameters.split())
    return ListEndpoint(path=path, row_schema=row_schema, is_paged=False, parameters=names, permission=permission)


_PAGED = (
    _paged("absences", "Absence", permission="user-planning-data:read"),
    _paged("companies", "Company", permission="company-master-data:read"),
    _paged("companies/{id}/contactinfo", "ContactInfoForCompanies"),
    _paged("companies/{id}/files/{id}/versions", "FileVersion"),
    _paged("documents", "DocumentModel", "includeTrashedDocuments"),
    _paged("documents/{id}/comments", "Comment"),
    _paged("documents/{id}/files", "FileInfo"),
    _paged("documents/{id}/files/{id}/versions", "FileVersion"),
    _paged("documentspaces", "DocumentSpaceModel"),
    _paged("documentspaces/{id}/documents", "DocumentModel"),
    _paged("documentspaces/{id}/documents/trash", "DocumentModel"),
    _paged("filters", "Filter"),
    _paged("filters/{id}", "Filter"),
    _paged("me/allavailabletasks", "TaskModel", permission="project-planning-data:read"),
    _paged("me/assignedtasks", "TaskModel", "assignedOnFrom assignedOnTo inProgress"),
    _paged("me/filters", "Filter"),
    _paged("me/filters/{id}", "Filter"),
    _paged("me/otherprivatetasks", "TaskModel"),
    _paged("me/privatedocuments", "DocumentModel"),
    _paged("me/privatedocuments/trash", "DocumentModel"),
    _paged("me/privatetasks", "TaskModel"),
    _paged("me/privatetasks/taskstatuses", "TaskStatus", "userId"),
    _paged("me/projecttasks", "TaskModel", permission="project-planning-data:read"),
    _paged("me/shareddocuments", "DocumentModel"),
    _paged("me/sharedfilters", "Filter"),
    _paged("me/sharedfilters/{id}", "Filter"),
    _paged("projectmilestones", "ProjectMilestone"),
    _paged("projectroles", "ProjectRole", "includeMembers"),
    _paged("projectroles/{id}/permissions", "PermissionOfProjectRole"),
    _paged("projects", "Project", permission="project-master-data:read"),
    _paged("projects/{id}/activities", "ActivityModel"),
    _paged("projects/{id}/allfiles", "FileInfo"),
    _paged("projects/{id}/comments", "Comment"),
    _paged("projects/{id}/documents", "DocumentModel"),
    _paged("projects/{id}/documents/trash", "DocumentModel"),
    _paged("projects/{id}/files", "FileInfo"),
    _paged("projects/{id}/files/{id}/versions", "FileVersion"),
    _paged("projects/{id}/projectstatuses", "ProjectStatus"),
    _paged("projects/{id}/projecttasks", "TaskModel", permission="project-planning-data:read"),
    _paged("projects/{id}/retainers", "Retainer"),
    _paged("projects/{id}/tags", "BaseTagModel"),
    _paged("projects/{id}/tasklists", "TaskList", "showArchived", permission="project-planning-data:read"),
    _paged("projects/{id}/taskstatuses", "TaskStatus"),
    _paged("projects/{id}/timeentries", "TimeTracking"),
    _paged("projectstatuses", "ProjectStatus", "showArchived"),
    _paged("projecttemplates", "ProjectTemplate"),
    _paged("projecttemplates/{id}/milestones", "ProjectMilestoneTemplate"),
    _paged("projecttemplates/{id}/tags", "BaseTagModel"),
    _paged("projecttemplates/{id}/taskstatuses", "TaskStatus"),
    _paged("projecttemplates/{id}/files", "FileInfo"),
    _paged("projecttemplates/{id}/files/{id}/versions", "FileVersion"),
    _paged("projecttimebookings", "TimeBooking"),
    _paged("projecttypes", "ProjectType", "showArchived"),
    _paged("roles/users", "UserInRole"),
    _paged("roles/{id}/permissions", "PermissionOfGlobalRole"),
    _paged("roles/{id}/users", "UserInRole", "showArchived"),
    _paged("taskbundles", "TaskBundle"),
    _paged("taskbundles/{id}/tasklisttemplates", "NestedTaskList"),
    _paged("taskbundles/{id}/tasktemplates", "TaskTemplate"),
    _paged("tasks/{id}/activities", "ActivityModel"),
    _paged("tasks/{id}/comments", "Comment"),
    _paged("tasks/{id}/files", "FileInfo"),
    _paged("tasks/{id}/files/{id}/versions", "FileVersion"),
    _paged("tasks/{id}/timeentries", "TimeTracking"),
    _paged("tasktemplates/{id}/files", "FileInfo"),
    _paged("tasktemplates/{id}/files/{id}/versions", "FileVersion"),
    _paged("teams", "Team", "includeProjectIds includeUserIds"),
    _paged("temporaryfiles", "FileInfo"),
    _paged("timebookings", "TimeBooking"),
    _paged("timeentries", "TimeTracking", "searchReindex"),
    _paged("timeentries/simplified", "SimplifiedTimeTracking", "grouping"),
    _paged("typeofwork", "TypeOfWork", "showArchived"),
    _paged("users", "User", "showArchived", permission="user-master-data:read"),
    _paged("users/{id}/allavailabletasks", "TaskModel", permission="project-planning-data:read"),
    _paged("users/{id}/assignedtasks", "TaskModel", "assignedOnFrom assignedOnTo inProgress"),
    _paged("users/{id}/contactinfo", "ContactInfo"),
    _paged("users/{id}/files", "FileInfo"),
    _paged("users/{id}/files/{id}/versions", "FileVersion"),
    _paged("users/{id}/otherprivatetasks", "TaskModel"),
    _paged("users/{id}/privatetasks", "TaskModel"),
    _paged("users/{id}/privatetasks/taskstatuses", "TaskStatus"),
    _paged("webhooks", "WebhookConfig"),
    _paged("webhooks/{id}/logs", "WebhookLog"),
    _paged("workflows", "Workflow", "showArchived"),
    _paged("workflows/{id}/projectstatuses", "ProjectStatus"),
    _paged("workflows/{id}/taskstatuses", "TaskStatus"),
    _paged("workspaceabsences", "WorkspaceAbsenceModel"),
    _paged("workspaces/{id}/files", "FileInfo"),
    _paged("workspaces/{id}/files/{id}/versions", "FileVersion"),
)

_WHOLE = (
    _whole("absenceregions", "AbsenceRegionModel", permission="user-planning-data:write"),
    _whole("absenceregions/countries", "AbsenceRegionCountry"),
    _whole("absenceregions/countries/{id}/locations", "AbsenceRegionLocation"),
    _whole("accounts/me/authorizedclients", "AuthorizedClientApplication"),
    _whole("apiusers", "ApiUser"),
    _whole("autopilot/availablealerts", "string"),
    _whole("clientapplications", "ClientApplication"),
    _whole("companies/industries", "string"),
    _whole("companies/tags", "BaseTagModel"),
    _whole("companies/{id}/tags", "BaseTagModel"),
    _whole(
        "customfielddefinitions",
        "CustomFieldDefinitionWithSelectionOptionsAndLinkedProjectIds",
        "includeLinkedProjectIds",
    ),
    _whole("me/dashboards", "Dashboard", "includeWidgets"),
    _whole("me/otherprivatetasks/{id}/checklistitems", "ChecklistItem", "userId"),
    _whole("me/privatetasks/tags", "BaseTagModelWithCount"),
    _whole("me/privatetasks/{id}/checklistitems", "ChecklistItem", "userId"),
    _whole("me/tasks/tags", "BaseTagModel"),
    _whole("permissions/features", "string"),
    _whole("permissions/projectfeatures", "string"),
    _whole("projectroles/byuserid/{id}", "ProjectRole"),
    _whole("projects/projecttasks/tags", "BaseTagModel", "projectId"),
    _whole("projects/tags", "BaseTagModelWithCount"),
    _whole("projects/{id}/automations", "Automation"),
    _whole("projects/{id}/automations/{id}/actions", "Action"),
    _whole("projects/{id}/customfielddefinitions", "CustomFieldDefinitionWithSelectionOptions"),
    _whole("projects/{id}/members", "ProjectMember"),
    _whole("projects/{id}/milestones", "ProjectMilestone"),
    _whole("projects/{id}/projecttasks/{id}/checklistitems", "ChecklistItem"),
    _whole("projects/{id}/taskdependencies", "TaskDependency"),
    _whole("projects/{id}/typeofwork", "TypeOfWork"),
    _whole("projecttemplates/tags", "BaseTagModel"),
    _whole("projecttemplates/{id}/automations", "Automation"),
    _whole("projecttemplates/{id}/automations/{id}/actions", "Action"),
    _whole("projecttemplates/{id}/customfielddefinitions", "CustomFieldDefinitionWithSelectionOptions"),
    _whole("projecttemplates/{id}/projectstatuses", "ProjectStatus"),
    _whole("projecttypes/icons", "string"),
    _whole("roles", "Role", "showArchived"),
    _whole("roles/{id}/deactivatedmenuitems", "string"),
    _whole("taskbundles/icons", "string"),
    _whole("taskbundles/{id}/taskdependencytemplates", "TaskDependencyTemplate"),
    _whole("taskbundles/{id}/tasklisttemplates/{id}/tasktemplates", "TaskTemplate"),
    _whole("tasks/tags", "BaseTagModel"),
    _whole("tasks/{id}/checklistitems", "ChecklistItem"),
    _whole("tasks/{id}/tags", "BaseTagModel"),
    _whole("tasks/{id}/taskdependencies", "TaskDependency"),
    _whole("taskschedules", "TaskSchedule"),
    _whole("tasktemplates/tags", "BaseTagModel"),
    _whole("tasktemplates/{id}/checklistitemtemplates", "ChecklistItemTemplate"),
    _whole("tasktemplates/{id}/tags", "BaseTagModel"),
    _whole("tasktemplates/{id}/taskdependencytemplates", "TaskDependencyTemplate"),
    _whole("timereports", "TimeReport"),
    _whole("timetracking/settings", "TimeTrackingSetting"),
    _whole("typeofwork/icons", "string"),
    _whole("users/projecttimebookings", "GetTimeBookingForUsersResult", "intervalEnd intervalStart userIds"),
    _whole("users/tags", "BaseTagModel"),
    _whole("users/timebookings", "GetTimeBookingForUsersResult", "intervalEnd intervalStart userIds"),
    _whole(
        "users/workload",
        "GetWorkloadForUsersResult",
        "fetchDetails ignoreCalendarEvents intervalEnd intervalStart roughPlanningFrom userIds",
    ),
    _whole("users/{id}/otherprivatetasks/{id}/checklistitems", "ChecklistItem"),
    _whole("users/{id}/privatetasks/{id}/checklistitems", "ChecklistItem"),
    _whole("users/{id}/tags", "BaseTagModel"),
    _whole("users/{id}/tasks/tags", "BaseTagModel"),
    _whole("webhooks/eventtypes", "string"),
    _whole("webhooks/eventtypes/slack", "string"),
    _whole("workflows/{id}/automations", "Automation"),
    _whole("workflows/{id}/automations/{id}/actions", "Action"),
    _whole("workflows/{id}/customfielddefinitions", "CustomFieldDefinitionWithSelectionOptions"),
    _whole("workspaces/types", "string"),
)

LIST_ENDPOINTS: Mapping[str, ListEndpoint] = {endpoint.path: endpoint for endpoint in (*_PAGED, *_WHOLE)}

RESOURCES: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(name="users", path="users"),
        Resource(name="apiusers", path="apiusers"),
        Resource(name="teams", path="teams", params={"includeUserIds": "true", "includeProjectIds": "true"}),
        Resource(name="companies", path="companies"),
        Resource(name="projects", path="projects"),
        Resource(name="projecttypes", path="projecttypes"),
        Resource(name="projectstatuses", path="projectstatuses", project_path="projects/{id}/projectstatuses"),
        Resource(name="workflows", path="workflows"),
        Resource(name="typeofwork", path="typeofwork"),
        Resource(name="projecttasks", path="me/projecttasks", project_path="projects/{id}/projecttasks"),
        Resource(name="allavailabletasks", path="me/allavailabletasks"),
        Resource(name="tasklists", project_path="projects/{id}/tasklists"),
        Resource(name="taskstatuses", project_path="projects/{id}/taskstatuses"),
        Resource(name="taskschedules", path="taskschedules"),
        Resource(name="projectmembers", project_path="projects/{id}/members"),
        Resource(name="projectmilestones", path="projectmilestones"),
        Resource(name="retainers", project_path="projects/{id}/retainers"),
        Resource(name="projectroles", path="projectroles", params={"includeMembers": "true"}),
        Resource(name="roles", path="roles"),
        Resource(name="absences", path="absences"),
        Resource(name="workspaceabsences", path="workspaceabsences"),
        Resource(name="absenceregions", path="absenceregions"),
        Resource(name="timebookings", path="timebookings"),
        Resource(
            name="customfielddefinitions",
            path="customfielddefinitions",
            project_path="projects/{id}/customfielddefinitions",
            params={"includeLinkedProjectIds": "true"},
        ),
    )
}
