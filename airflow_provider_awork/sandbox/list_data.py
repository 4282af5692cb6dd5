"""Seeded rows of the lists that time entries do not refer to: statuses, task lists, bookings, holidays, roles ..."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from typing import Any

from airflow_provider_awork.sandbox import vocabulary
from airflow_provider_awork.sandbox.instants import TICKS_PER_DAY, format_instant, to_ticks
from airflow_provider_awork.sandbox.master_data import Row, make_guid

_HOUR = 3600


@dataclass(frozen=True)
class ListData:
    """
    Rows by list.

    :param rows: of lists that page, by table of the store.
    :param whole: of lists that come whole, by path below the base URL.
    :param task_lists: ids of the task lists of each project: the rows do not tell.
    """

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    whole: dict[str, list[Row]] = field(default_factory=dict)
    task_lists: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def make_list_data(random: Random, rows: Mapping[str, Sequence[Row]], *, me: str, start: date) -> ListData:
    """
    Rows that fit to the master data.

    :param rows: the master data's rows.
    :param me: id of the API user that the token stands for.
    :param start: all rows were created before that day.
    """
    return _Maker(random, rows, me, start).make()


class _Maker:
    def __init__(self, random: Random, rows: Mapping[str, Sequence[Row]], me: str, start: date) -> None:
        self._random = random
        self._master = rows
        self._me = me
        self._start = to_ticks(datetime.combine(start, datetime.min.time()))
        self._people = [row for row in rows["users"] if row["id"] != me]
        self._data = ListData()

    def make(self) -> ListData:
        self._workflows()
        self._task_statuses()
        self._roles()
        for number, project in enumerate(self._master["projects"]):
            self._of_project(number, project)
        self._holidays()
        self._plans()
        self._custom_fields()
        return self._data

    def _row(self, row_id: str | None = None, **fields: Any) -> Row:
        created = self._start - self._random.randrange(TICKS_PER_DAY, 700 * TICKS_PER_DAY)
        audit = {
            "createdOn": format_instant(created),
            "createdBy": self._me,
            "updatedOn": format_instant(created + self._random.randrange(self._start - created)),
            "updatedBy": self._me,
        }
        return {"id": row_id or make_guid(self._random), **fields, **audit}

    def _day(self, days: int) -> str:
        return format_instant(self._start + days * TICKS_PER_DAY)

    def _workflows(self) -> None:
        ids = dict.fromkeys(row["workflowId"] for row in self._master["projectstatuses"])
        self._data.rows["workflows"] += [
            self._row(workflow, name="Agentur", icon="workflow", isArchived=False, isExternal=False) for workflow in ids
        ]

    def _task_statuses(self) -> None:
        for task in self._master["projecttasks"]:
            if "projectId" in task:
                status = {**task["taskStatus"], "projectId": task["projectId"]}
                self._data.rows["taskstatuses"].append(self._row(status.pop("id"), **status))

    def _roles(self) -> None:
        self._data.whole["roles"] = [
            self._row(name=name, isAdminRole=name == "Admin", isGuestRole=name == "Gast", isAgentRole=False,
                      isPreset=name != "Alumni", isArchived=name == "Alumni")
            for name in ("Admin", "Mitarbeit", "Gast", "Alumni")
        ]  # fmt: skip
        self._data.rows["projectroles"] += [
            self._row(name=name, isDefault=name == "Mitarbeit", allowOnlyProjectMasterDataRead=False, memberCount=4)
            for name in ("Projektleitung", "Mitarbeit")
        ]
        self._data.whole["apiusers"] = [self._row(self._me, name="Airflow Export", clientId="airflow-export")]

    def _of_project(self, number: int, project: Row) -> None:
        lead, member = self._data.rows["projectroles"]
        people = [self._people[(number + each) % len(self._people)] for each in range(min(3, len(self._people)))]
        self._data.whole[f"projects/{project['id']}/members"] = [
            {
                "id": make_guid(self._random),
                "userId": person["id"],
                **{key: person[key] for key in ("firstName", "lastName", "hasImage", "isExternal")},
                "projectRoleId": (member if place else lead)["id"],
                "projectRoleName": (member if place else lead)["name"],
                "isResponsible": place == 0,
                "isDeactivated": False,
            }
            for place, person in enumerate(people)
        ]
        task_list = self._row(
            name="Aufgaben", order=1.0, plannedDuration=20 * _HOUR, isArchived=False, isHiddenForConnectUsers=False,
            trackedDuration=0,
        )  # fmt: skip
        self._data.task_lists[project["id"]].append(task_list["id"])
        self._data.rows["tasklists"].append(task_list)
        if project["isRetainer"]:
            self._data.rows["retainers"].append(self._retainer(project["id"]))
        if number % 3 == 0:
            milestone = self._row(name="Abnahme", color="green", dueDate=self._day(60), projectId=project["id"])
            self._data.rows["projectmilestones"].append(milestone)

    def _retainer(self, project_id: str) -> Row:
        month = {"startDate": self._day(0), "endDate": self._day(30), "timeBudget": 40 * _HOUR, "trackedDuration": 0}
        return self._row(
            projectId=project_id, timeBudget=40 * _HOUR, timezone="Europe/Berlin", rollOverUnderspentBudget=True,
            rollOverOverspentBudget=False, startDate=self._day(0), syncProjectDates=False, retainerPeriod="month",
            isExternal=False, retainerBudgets=[{"id": make_guid(self._random), **month}],
        )  # fmt: skip

    def _holidays(self) -> None:
        region = self._row(
            name="Hamburg", countryCode="DE", country="Germany", locationCode="DE-HH", location="Hamburg",
            isDefault=True, numberOfPublicHolidays=10, assignedUsers=[person["id"] for person in self._people],
        )  # fmt: skip
        self._data.whole["absenceregions"] = [region]
        self._data.rows["workspaceabsences"] += [
            self._row(
                startOn=self._day(day), endOn=self._day(day + 1), description=name, regionId=region["id"],
                region="Hamburg", isReadOnly=True, isHalfDayOnStart=False, isHalfDayOnEnd=False,
            )
            for day, name in ((10, "Tag der Arbeit"), (40, "Pfingstmontag"))
        ]  # fmt: skip

    def _plans(self) -> None:
        for number, person in enumerate(self._people):
            project = self._master["projects"][number % len(self._master["projects"])]
            self._data.rows["timebookings"].append(
                self._row(
                    userId=person["id"], projectId=project["id"], startDate=self._day(number)[:10],
                    endDate=self._day(number + 4)[:10], duration=30 * _HOUR, description="geplant", laneOrder=0,
                    isAnonymized=False,
                )
            )  # fmt: skip
        self._data.whole["taskschedules"] = [
            self._row(
                userId=person["id"], taskId=task["id"], startDate=self._day(3), endDate=self._day(4),
                plannedDuration=2 * _HOUR,
            )
            for person, task in zip(self._people, self._master["projecttasks"], strict=False)
        ]  # fmt: skip

    def _custom_fields(self) -> None:
        options = [
            {"id": make_guid(self._random), "value": value, "color": color, "order": float(order)}
            for order, (value, color) in enumerate(vocabulary.TAGS)
        ]
        projects = [project["id"] for project in self._master["projects"]]
        definitions = [
            self._row(name="Kostenstelle", entity="project", type="text", order=1.0, isExternal=False,
                      linkedProjectIds=projects),
            self._row(name="Art", entity="task", type="select", order=2.0, isExternal=False, selectionOptions=options,
                      linkedProjectIds=projects[:1]),
        ]  # fmt: skip
        self._data.whole["customfielddefinitions"] = definitions
        for project in projects:
            linked = [row for row in definitions if project in row["linkedProjectIds"]]
            self._data.whole[f"projects/{project}/customfielddefinitions"] = [
                {key: value for key, value in row.items() if key != "linkedProjectIds"} for row in linked
            ]
