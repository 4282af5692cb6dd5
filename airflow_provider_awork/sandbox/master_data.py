"""
Seeded people, clients, projects, tasks and so on: what time entries refer to.

``rows`` are what the list endpoints serve; the dataclasses hold what an entry repeats of them in its nested objects.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from typing import Any

from airflow_provider_awork.sandbox import vocabulary
from airflow_provider_awork.sandbox.instants import TICKS_PER_DAY, TICKS_PER_SECOND, format_instant, to_ticks

Row = dict[str, Any]

_ZONES = ("Europe/Berlin", "Europe/Berlin", "Europe/Berlin", "America/New_York", "Europe/Berlin", "Asia/Kolkata")
_DELETED_PEOPLE = 2
_PROJECTS_PER_COMPANY = 3


@dataclass(frozen=True)
class Person:
    """
    A user.

    :param zone: IANA name of where they work.
    :param timer: whether they use the timer; else they enter times by hand afterwards.
    :param deleted: whether awork has forgotten them: their entries have neither ``userId`` nor ``user``.
    :param nested: the user object of an entry.
    """

    id: str
    zone: str
    timer: bool
    deleted: bool
    nested: Row


@dataclass(frozen=True)
class Task:
    """A task; ``nested`` is the task object of an entry."""

    id: str
    nested: Row


@dataclass(frozen=True)
class Project:
    """A project with its tasks; ``nested`` is the project object of an entry."""

    id: str
    billable: bool
    external: bool
    nested: Row
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class MasterData:
    """
    Everything but time entries.

    :param api_user: whom the token stands for; one of ``people``.
    :param private_tasks: one task for each person, by the person's id.
    :param rows: the rows of each list endpoint, by its name.
    """

    people: tuple[Person, ...]
    api_user: Person
    projects: tuple[Project, ...]
    private_tasks: dict[str, Task]
    types_of_work: tuple[Row, ...]
    rows: dict[str, list[Row]] = field(repr=False)


def make_guid(random: Random) -> str:
    """A GUID in lower case, as awork prints them."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def make_master_data(random: Random, *, people: int, start: date) -> MasterData:
    """
    Master data for a workspace.

    :param people: how many persons track time; two deleted ones and the API user come on top.
    :param start: all rows were created before that day.
    """
    return _Maker(random, start).make(people)


class _Maker:
    def __init__(self, random: Random, start: date) -> None:
        self._random = random
        self._start = to_ticks(datetime.combine(start, datetime.min.time()))
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._api_user_id = make_guid(random)

    def make(self, count: int) -> MasterData:
        people = [self._person(number) for number in range(count)]
        people += [self._person(count + number, deleted=True) for number in range(_DELETED_PEOPLE)]
        api_user = self._api_user()
        present = [person for person in people if not person.deleted]
        types_of_work = self._types_of_work()
        types, statuses = self._project_types(), self._project_statuses()
        companies = [self._company(number) for number in range(max(6, count // 2))]
        projects = [
            self._project(number, companies[number % len(companies)], types, statuses, types_of_work, present)
            for number in range(len(companies) * _PROJECTS_PER_COMPANY)
        ]
        self._teams(present, projects)
        self._absences(present)
        return MasterData(
            people=(*people, api_user),
            api_user=api_user,
            projects=tuple(projects),
            private_tasks={person.id: self._private_task(person, types_of_work) for person in present},
            types_of_work=tuple(types_of_work),
            rows=dict(self._rows),
        )

    def _id(self) -> str:
        return make_guid(self._random)

    def _add(self, table: str, fields: Row, *, by: str | None = None) -> Row:
        """A row of a list endpoint, with what awork records about its creation and last change."""
        created = self._start - self._random.randrange(TICKS_PER_DAY, 700 * TICKS_PER_DAY)
        updated = created + self._random.randrange(self._start - created)
        audit = {
            "createdOn": format_instant(created),
            "createdBy": by or self._api_user_id,
            "updatedOn": format_instant(updated),
            "updatedBy": by or self._api_user_id,
        }
        if table in ("users", "companies", "projects", "projecttasks"):
            audit["resourceVersion"] = updated + 3 * TICKS_PER_SECOND // 10  # type: ignore[assignment]
        row = {**fields, **audit}
        self._rows[table].append(row)
        return row

    def _person(self, number: int, *, deleted: bool = False) -> Person:
        first_names, last_names = vocabulary.FIRST_NAMES, vocabulary.LAST_NAMES
        first = first_names[number % len(first_names)]
        last = last_names[(number + number // len(first_names)) % len(last_names)]
        user = self._user(first, last, f"person{number + 1}@example.com", position="Consultant")
        if deleted:
            self._rows["users"].pop()
        return Person(
            id=user["id"],
            zone=_ZONES[number % len(_ZONES)],
            timer=number % 5 < 3,
            deleted=deleted,
            nested={key: user[key] for key in ("id", "firstName", "lastName", "hasImage", "isExternal")},
        )

    def _api_user(self) -> Person:
        user = self._user("Airflow", "Export", "", position="API user", user_id=self._api_user_id)
        nested = {key: user[key] for key in ("id", "firstName", "lastName", "hasImage", "isExternal")}
        return Person(id=user["id"], zone="Europe/Berlin", timer=False, deleted=False, nested=nested)

    def _user(self, first: str, last: str, email: str, *, position: str, user_id: str | None = None) -> Row:
        user_id = user_id or self._id()
        fields: Row = {
            "id": user_id,
            "firstName": first,
            "lastName": last,
            "position": position,
            "language": "de-DE",
            "status": {"invitationAccepted": True, "isDeactivated": False},
            "isArchived": False,
            "isDeactivated": False,
            "isAgent": False,
            "hasImage": self._random.random() < 0.7,
            "shouldMigrateToConnect": False,
            "userContactInfos": [self._contact("email", email)] if email else [],
            "tags": [],
            "teams": [],
            "isExternal": False,
        }
        return self._add("users", fields)

    def _contact(self, kind: str, value: str) -> Row:
        stamp = format_instant(self._start - 100 * TICKS_PER_DAY)
        return {
            "id": self._id(),
            "label": "Work",
            "value": value,
            "type": kind,
            "subType": "work",
            "isAddress": False,
            "createdOn": stamp,
            "createdBy": self._api_user_id,
            "updatedOn": stamp,
            "updatedBy": self._api_user_id,
        }

    def _types_of_work(self) -> list[Row]:
        rows = [
            self._add("typeofwork", {"id": self._id(), "name": name, "icon": icon, "isArchived": name == "Reisezeit"})
            for name, icon in vocabulary.TYPES_OF_WORK
        ]
        return [_pick(row, "id name icon isArchived") for row in rows]

    def _project_types(self) -> list[Row]:
        rows = [
            self._add(
                "projecttypes",
                {"id": self._id(), "name": name, "icon": icon, "isArchived": False, "isPreset": False},
            )
            for name, icon in vocabulary.PROJECT_TYPES
        ]
        return [_pick(row, "id name icon isArchived") for row in rows]

    def _project_statuses(self) -> list[Row]:
        workflow = self._id()
        nested = []
        descriptions = vocabulary.STATUS_DESCRIPTIONS
        for order, ((name, kind), description) in enumerate(
            zip(vocabulary.PROJECT_STATUSES, descriptions, strict=True)
        ):
            fields = {"id": self._id(), "name": name, "type": kind, "order": order, "workflowId": workflow}
            row = self._add("projectstatuses", {**fields, "isExternal": False})
            nested.append({**_pick(row, "id name"), "description": description, "type": kind, "isArchived": False})
        return nested

    def _company(self, number: int) -> Row:
        name = vocabulary.COMPANIES[number % len(vocabulary.COMPANIES)]
        if number >= len(vocabulary.COMPANIES):
            name = f"{name} ({number // len(vocabulary.COMPANIES) + 1})"
        fields = {
            "id": self._id(),
            "name": name,
            "description": vocabulary.COMPANY_DESCRIPTIONS[number % len(vocabulary.COMPANY_DESCRIPTIONS)],
            "industry": vocabulary.INDUSTRIES[number % len(vocabulary.INDUSTRIES)],
            "hasImage": number % 3 == 0,
            "companyContactInfos": [self._contact("email", f"office{number + 1}@example.org")],
            "tags": [],
            "projectsCount": _PROJECTS_PER_COMPANY,
            "projectsInProgressCount": 1,
            "isExternal": False,
        }
        return _pick(self._add("companies", fields), "id name hasImage description")

    def _project(
        self,
        number: int,
        company: Row,
        types: list[Row],
        statuses: list[Row],
        types_of_work: list[Row],
        people: list[Person],
    ) -> Project:
        name = vocabulary.PROJECTS[number % len(vocabulary.PROJECTS)]
        project_type = types[number % len(types)]
        billable = project_type["name"] != "Intern"
        # One workspace in awork Connect shares a project with this one.
        external = number == 3
        creator = people[number % len(people)].id
        nested: Row = {
            "id": self._id(),
            "name": f"{name} {2024 + number % 3} – {company['name']}",
            "projectStatus": statuses[number % len(statuses)],
            "company": company,
            "projectType": project_type,
            "projectKey": f"{re.sub('[^A-Z]', '', name.upper())[:4]}{number + 1}",
            "isPrivate": number % 11 == 0,
            "hasImage": number % 4 == 0,
            "isExternal": external,
            "isBillableByDefault": billable,
            "createdBy": creator,
        }
        members = self._random.sample(people, min(4, len(people)))
        self._add_project_row(number, nested, members, by=creator)
        tasks: list[Task] = []
        for task in range(self._random.randint(6, 12)):
            parent = tasks[0] if task % 3 == 2 else None
            tasks.append(self._task(task, nested, types_of_work, members, parent))
        return Project(nested["id"], billable, external, nested, tuple(tasks))

    def _add_project_row(self, number: int, nested: Row, members: list[Person], *, by: str) -> None:
        status = {**nested["projectStatus"], "typeOrder": number % 4, "isExternal": False}
        fields = {
            **_pick(nested, "id name isPrivate projectKey hasImage isExternal isBillableByDefault projectType"),
            "startDate": format_instant(self._start - 90 * TICKS_PER_DAY),
            "dueDate": format_instant(self._start + 180 * TICKS_PER_DAY),
            "companyId": nested["company"]["id"],
            "company": {**nested["company"], "tags": []},
            "projectStatusId": status["id"],
            "projectStatus": status,
            "projectTypeId": nested["projectType"]["id"],
            "timeBudget": 3600 * self._random.randrange(40, 800),
            "color": vocabulary.COLORS[number % len(vocabulary.COLORS)],
            "deductNonBillableHours": number % 2 == 0,
            "isProjectKeyVisible": True,
            "tags": [],
            "members": [],
            "customFields": [],
            "teams": [],
            "isRetainer": nested["projectType"]["name"] == "Retainer",
            "isMultiAssignmentAllowed": True,
            "tasksCount": 10,
            "tasksDoneCount": 3,
        }
        self._add("projects", fields, by=by)

    def _task(
        self, number: int, project: Row, types_of_work: list[Row], members: list[Person], parent: Task | None
    ) -> Task:
        task_id, creator = self._id(), self._random.choice(members)
        nested = self._nested_task(task_id, vocabulary.TASKS[number % len(vocabulary.TASKS)], types_of_work, creator)
        nested.update(
            baseType="projecttask",
            taskIdentifier=f"{project['projectKey']}-{number + 1}",
            projectId=project["id"],
            project=project,
        )
        if parent:
            nested.update(parentId=parent.id, correlationId=parent.id, parentTask=_pick(parent.nested, "id name"))
        row = {
            **self._task_row(nested, types_of_work),
            "taskNumber": number + 1,
            "taskIdentifier": nested["taskIdentifier"],
            "projectId": project["id"],
            "entityId": project["id"],
            "project": {
                **_pick(project, "id name projectKey projectStatus company projectType hasImage isPrivate"),
                "companyId": project["company"]["id"],
            },
            "isSubtask": parent is not None,
            "assignees": [
                {**person.nested, "plannedEffort": nested["plannedDuration"], "isDistributedPlannedEffort": False}
                for person in self._random.sample(members, 1)
            ],
        }
        self._add("projecttasks", row, by=creator.id)
        return Task(task_id, nested)

    def _private_task(self, person: Person, types_of_work: list[Row]) -> Task:
        task_id = self._id()
        nested = self._nested_task(task_id, self._random.choice(vocabulary.PRIVATE_TASKS), types_of_work, person)
        nested["baseType"] = "private"
        row = {**self._task_row(nested, types_of_work), "userId": person.id, "isSubtask": False, "assignees": []}
        self._add("projecttasks", row, by=person.id)
        return Task(task_id, nested)

    def _nested_task(self, task_id: str, name: str, types_of_work: list[Row], creator: Person) -> Row:
        name_of_status, kind, icon = self._random.choice(vocabulary.TASK_STATUSES)
        description = vocabulary.STATUS_DESCRIPTIONS[vocabulary.TASK_STATUSES.index((name_of_status, kind, icon))]
        status = {
            "id": self._id(),
            "name": name_of_status,
            "description": description,
            "type": kind,
            "order": 1.0,
            "icon": icon,
        }
        nested = {
            "id": task_id,
            "name": name,
            "taskStatusId": status["id"],
            "typeOfWorkId": self._random.choice(types_of_work)["id"],
            "plannedDuration": 3600 * self._random.randrange(1, 40),
            "taskStatus": status,
            "createdBy": creator.id,
            "correlationId": task_id,
        }
        if kind == "done":
            nested["closedOn"] = format_instant(self._start - self._random.randrange(50 * TICKS_PER_DAY))
        return nested

    def _task_row(self, nested: Row, types_of_work: list[Row]) -> Row:
        type_of_work = next(row for row in types_of_work if row["id"] == nested["typeOfWorkId"])
        name, color = self._random.choice(vocabulary.TAGS)
        row = {
            **_pick(
                nested, "id name baseType taskStatusId typeOfWorkId correlationId parentId parentTask plannedDuration"
            ),
            "taskStatus": {**_pick(nested["taskStatus"], "id name type order icon"), "isExternal": False},
            "typeOfWork": type_of_work,
            "isPrio": False,
            "isExternal": False,
            "isHiddenForConnectUsers": False,
            "isRecurring": False,
            "hasAttachment": False,
            "laneOrder": 0,
            "order": 1.0,
            "lists": [],
            "customFields": [],
            "tags": [{"id": self._id(), "name": name, "color": color}] if self._random.random() < 0.4 else [],
        }
        if "closedOn" in nested:
            row["closedOn"] = nested["closedOn"]
        return row

    def _teams(self, people: list[Person], projects: list[Project]) -> None:
        for number, name in enumerate(vocabulary.TEAMS):
            fields = {
                "id": self._id(),
                "name": name,
                "icon": "people",
                "color": vocabulary.COLORS[number],
                "userIds": [person.id for person in people[number :: len(vocabulary.TEAMS)]],
                "projectIds": [project.id for project in projects[number :: len(vocabulary.TEAMS)]],
            }
            self._add("teams", fields)

    def _absences(self, people: list[Person]) -> None:
        for number, person in enumerate(people):
            first = self._start + self._random.randrange(90) * TICKS_PER_DAY
            fields = {
                "id": self._id(),
                "userId": person.id,
                "startOn": format_instant(first),
                "endOn": format_instant(first + self._random.randrange(1, 10) * TICKS_PER_DAY),
                "description": vocabulary.ABSENCES[number % len(vocabulary.ABSENCES)],
                "isReadOnly": False,
                "isHalfDayOnStart": False,
                "isHalfDayOnEnd": False,
            }
            self._add("absences", fields, by=person.id)


def _pick(row: Row, names: str) -> Row:
    return {name: row[name] for name in names.split() if name in row}
