"""
The properties of awork's resources: what may be filtered and ordered, and of which kind it is.

Names and types are those of awork's OpenAPI document. Names match without regard to case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a value is, for comparisons."""

    STRING = "string"
    GUID = "guid"
    BOOL = "bool"
    NUMBER = "number"
    INSTANT = "instant"
    """A point in time in UTC."""
    DATE = "date"
    """A day, kept as a date-time at midnight."""
    OBJECT = "object"
    COLLECTION = "collection"
    NULL = "null"
    MOMENT_LITERAL = "moment literal"
    """A date-time literal; whether it is an instant or a day depends on what it is compared with."""


@dataclass(frozen=True)
class Property:
    """
    One property.

    :param name: as JSON spells it.
    :param kind: what its value is.
    :param items: the properties of an object, or of the items of a collection of objects.
    :param item_kind: the kind of the items of a collection of plain values.
    """

    name: str
    kind: Kind
    items: Model = field(default_factory=dict)
    item_kind: Kind = Kind.OBJECT


Model = Mapping[str, Property]


def model(scalars: str, /, **nested: Model | list[Model] | list[Kind]) -> Model:
    """
    A model from ``name`` or ``name:kind`` words (string if no kind is named) and nested models; a list is a collection.
    """
    properties = [_scalar(word) for word in scalars.split()] + [_nested(*item) for item in nested.items()]
    return {prop.name.lower(): prop for prop in properties}


def _scalar(word: str) -> Property:
    name, _, kind = word.partition(":")
    return Property(name, Kind(kind or "string"))


def _nested(name: str, value: Model | list[Model] | list[Kind]) -> Property:
    if not isinstance(value, list):
        return Property(name, Kind.OBJECT, value)
    item = value[0]
    if isinstance(item, Kind):
        return Property(name, Kind.COLLECTION, item_kind=item)
    return Property(name, Kind.COLLECTION, item)


AUDIT = "createdOn:instant createdBy:guid updatedOn:instant updatedBy:guid "

TAG = model("id:guid name color")
TYPE = model("id:guid name icon isArchived:bool")
STATUS = model("id:guid name description type isArchived:bool")
TEAM_SHORT = model("id:guid name icon color")
COMPANY_SHORT = model("id:guid name hasImage:bool description")
USER_SHORT = model("id:guid firstName lastName hasImage:bool isExternal:bool")
CONTACT = model(
    AUDIT + "id:guid label value type subType addressLine1 addressLine2 zipCode city state country isAddress:bool"
)

PROJECT_OF_ENTRY = model(
    "id:guid name projectKey isPrivate:bool hasImage:bool isExternal:bool isBillableByDefault:bool createdBy:guid",
    projectStatus=STATUS,
    company=COMPANY_SHORT,
    projectType=TYPE,
)
TASK_OF_ENTRY = model(
    "id:guid name baseType taskIdentifier taskStatusId:guid typeOfWorkId:guid projectId:guid plannedDuration:number "
    "closedOn:instant createdBy:guid correlationId:guid parentId:guid",
    project=PROJECT_OF_ENTRY,
    taskStatus=model("id:guid name description type order:number icon"),
    parentTask=model("id:guid name"),
    # Left the payload on 2026-03-24, can still be filtered.
    tags=[TAG],
)
TIME_ENTRY = model(
    AUDIT + "id:guid userId:guid projectId:guid taskId:guid typeOfWorkId:guid note isBillable:bool isBilled:bool "
    "isExternal:bool timezone startDateUtc:date startTimeUtc endDateUtc:date endTimeUtc startDateLocal:date "
    "startTimeLocal endDateLocal:date endTimeLocal duration:number breakDuration:number resourceVersion:number",
    typeOfWork=TYPE,
    user=USER_SHORT,
    task=TASK_OF_ENTRY,
    project=PROJECT_OF_ENTRY,
    breaks=[model("startDate:instant duration:number endDate:instant")],
)
USER = model(
    AUDIT + "id:guid firstName lastName birthDate:instant gender title position language isArchived:bool "
    "isDeactivated:bool isAgent:bool deactivatedOn:instant deletedOn:instant hasImage:bool "
    "shouldMigrateToConnect:bool resourceVersion:number isExternal:bool",
    status=model("invitationAccepted:bool isDeactivated:bool"),
    userContactInfos=[CONTACT],
    tags=[TAG],
    teams=[TEAM_SHORT],
)
COMPANY = model(
    AUDIT + "id:guid name description industry hasImage:bool resourceVersion:number projectsCount:number "
    "projectsInProgressCount:number isExternal:bool",
    companyContactInfos=[CONTACT],
    tags=[TAG],
)
MEMBER = model("id:guid userId:guid projectRoleId:guid projectRoleName isResponsible:bool isExternal:bool")
CUSTOM_FIELD = model(
    "customFieldDefinitionId:guid userIdValue:guid clientIdValue:guid numberValue:number selectionOptionIdValue:guid "
    "textValue dateValue:instant booleanValue:bool"
)
PROJECT = model(
    AUDIT + "id:guid name description isPrivate:bool startDate:instant dueDate:instant companyId:guid "
    "timeBudget:number isBillableByDefault:bool projectTypeId:guid color deductNonBillableHours:bool "
    "isProjectKeyVisible:bool projectStatusId:guid projectTemplateId:guid "
    "publicProjectTemplateId:guid createdByProjectTemplateId:guid workflowId:guid projectKey hasImage:bool "
    "closedOn:instant closedBy:guid plannedDuration:number totalPlannedDurationWithHierarchy:number tasksCount:number "
    "tasksDoneCount:number trackedDuration:number resourceVersion:number isExternal:bool isRetainer:bool "
    "isMultiAssignmentAllowed:bool",
    projectType=TYPE,
    projectStatus=model("id:guid name description type isArchived:bool typeOrder:number isExternal:bool"),
    company=COMPANY_SHORT,
    tags=[TAG],
    members=[MEMBER],
    teams=[TEAM_SHORT],
    customFields=[CUSTOM_FIELD],
)
TASK = model(
    AUDIT + "id:guid name description isPrio:bool startOn:instant dueOn:instant laneOrder:number "
    "plannedDuration:number taskNumber:number taskIdentifier isExternal:bool createdVia isHiddenForConnectUsers:bool "
    "baseType taskStatusId:guid typeOfWorkId:guid projectId:guid correlationId:guid parentId:guid isSubtask:bool "
    "numberOfSubtasks:number hasAttachment:bool entityId:guid userId:guid closedOn:instant closedBy:guid order:number "
    "subtaskOrder:number createdFromTaskId:guid isRecurring:bool trackedDuration:number totalTrackedDuration:number "
    "totalPlannedDuration:number resourceVersion:number checklistItemsDoneCount:number checklistItemsCount:number "
    "taskSchedulesCount:number isCompletelyScheduled:bool commentCount:number",
    taskStatus=model(
        AUDIT + "id:guid name type order:number icon projectId:guid projectTypeId:guid workflowId:guid isExternal:bool"
    ),
    typeOfWork=TYPE,
    project=model(
        "id:guid name projectKey companyId:guid hasImage:bool isPrivate:bool isBillableByDefault:bool color "
        "createdBy:guid isExternal:bool",
        projectStatus=STATUS,
        company=COMPANY_SHORT,
        projectType=TYPE,
        members=[MEMBER],
    ),
    parentTask=model("id:guid name createdBy:guid userId:guid", assigneeIds=[Kind.GUID]),
    assignees=[model("id:guid firstName lastName hasImage:bool plannedEffort:number isExternal:bool")],
    lists=[model("id:guid name order:number isArchived:bool")],
    tags=[TAG],
    customFields=[CUSTOM_FIELD],
)
TEAM = model(AUDIT + "id:guid name icon color", userIds=[Kind.GUID], projectIds=[Kind.GUID])
TYPE_OF_WORK = model(AUDIT + "id:guid name description icon isArchived:bool")
PROJECT_TYPE = model(AUDIT + "id:guid name description icon isArchived:bool isPreset:bool")
PROJECT_STATUS = model(
    AUDIT + "id:guid name type order:number projectTemplateId:guid projectId:guid workflowId:guid isExternal:bool"
)
TASK_STATUS = model(
    AUDIT + "id:guid name type order:number icon projectId:guid projectTypeId:guid workflowId:guid isExternal:bool"
)
TASK_LIST = model(
    AUDIT + "id:guid name order:number plannedDuration:number totalPlannedDuration:number "
    "totalPlannedDurationWithHierarchy:number isArchived:bool isHiddenForConnectUsers:bool trackedDuration:number"
)
RETAINER = model(
    AUDIT + "id:guid timeBudget:number timezone rollOverUnderspentBudget:bool rollOverOverspentBudget:bool "
    "startDate:instant endDate:instant syncProjectDates:bool retainerPeriod projectId:guid isExternal:bool",
    retainerBudgets=[model("id:guid startDate:instant endDate:instant timeBudget:number trackedDuration:number")],
)
WORKFLOW = model(AUDIT + "id:guid name icon isArchived:bool isExternal:bool")
PROJECT_ROLE = model(
    AUDIT + "id:guid name isDefault:bool defaultProjectRoleId:guid allowOnlyProjectMasterDataRead:bool "
    "memberCount:number",
    members=[MEMBER],
)
MILESTONE = model(AUDIT + "id:guid name color dueDate:instant projectId:guid", project=PROJECT)
WORKSPACE_ABSENCE = model(
    AUDIT + "id:guid startOn:instant endOn:instant description regionId:guid region isReadOnly:bool "
    "isHalfDayOnStart:bool isHalfDayOnEnd:bool"
)
TIME_BOOKING = model(
    AUDIT + "id:guid userId:guid projectId:guid startDate:date endDate:date duration:number description "
    "laneOrder:number isAnonymized:bool"
)
ABSENCE = model(
    AUDIT + "id:guid userId:guid startOn:instant endOn:instant description externalProvider deletedOn:instant "
    "deletedBy:guid isReadOnly:bool isHalfDayOnStart:bool isHalfDayOnEnd:bool"
)
