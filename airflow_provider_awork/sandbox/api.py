"""
awork's endpoints over a store: what a request that got through is answered with.

Facts: sections 3, 4, 5, 8 and 10 of the API facts. Where they are thin: ``page`` and ``pageSize`` that are no positive
numbers answer 400, ``pageSize`` above 1000 counts as 1000, a page past the end is empty, and a project or task that
nothing refers to is 404. ``grouping`` changes nothing. External entries of other people are listed, although the
documents say that they are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_awork.sandbox.entry_changes import EntryChanges
from airflow_provider_awork.sandbox.errors import ApiError, usual_body
from airflow_provider_awork.sandbox.filter_grammar import FilterError
from airflow_provider_awork.sandbox.filter_sql import Context, Sql, both, filter_sql, order_sql
from airflow_provider_awork.sandbox.forms import BatchForm, EntryForm, IdsForm, NewEntryForm, TypeOfWorkForm, read_form
from airflow_provider_awork.sandbox.list_data import ListData
from airflow_provider_awork.sandbox.nested_objects import simplified
from airflow_provider_awork.sandbox.oauth import OAuth
from airflow_provider_awork.sandbox.settings import Settings
from airflow_provider_awork.sandbox.store import TABLES, Store, compact_json

Shape = Callable[[bytes, Request], bytes]

BASE_PATH = "/api/v1"
DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 1000

_ARCHIVABLE = {"users", "typeofwork", "projecttypes", "workflows"}
_BY_PROJECT = {"tasklists", "taskstatuses", "retainers"}
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LARGEST_PAGE = 10**12

_TIME_TRACKING_SETTINGS = [
    {"type": "prevent-on-done-projects", "enabled": True},
    {"type": "prevent-on-future-dates", "enabled": False},
    {"type": "allow-on-past-days", "enabled": True, "dayCount": 60},
]
_FEATURES = (
    "company-master-data", "project-master-data", "project-planning-data", "project-timetracking",
    "user-master-data", "user-planning-data", "workspace-manage-config",
)  # fmt: skip
_ROLE = "8f2ad5c6-51f0-4f29-8d6e-0b1c0f6f7f11"


class Api:
    """
    The endpoints.

    :param store: the data.
    :param settings: read anew for each request.
    :param me: id of the user that the token stands for.
    :param lists: the lists that come whole.
    :param oauth: the endpoints that issue tokens.
    """

    def __init__(self, *, store: Store, settings: Settings, me: str, lists: ListData, oauth: OAuth) -> None:
        self._store = store
        self._settings = settings
        self._me = me
        self._lists = lists
        self._oauth = oauth
        self._changes = EntryChanges(store=store, settings=settings, me=me)

    def application(self) -> Starlette:
        """The ASGI application of all endpoints below ``/api/v1``; the routes of lists have the name ``list``."""
        routes = [
            *self._oauth.routes(BASE_PATH),
            self._list("/timeentries", "timeentries", lambda _: self._visible),
            self._list("/timeentries/simplified", "timeentries", lambda _: self._visible, shape=_simplified),
            *self._last_entries(),
            *self._changes_of_many(),
            *self._changes_of_one(),
            self._list("/projects/{id}/timeentries", "timeentries", self._entries_of("projectId", "projects")),
            self._list("/tasks/{id}/timeentries", "timeentries", self._entries_of("taskId", "projecttasks")),
            self._list("/me/projecttasks", "projecttasks", lambda _: "baseType eq 'projecttask'"),
            self._list(
                "/me/allavailabletasks", "projecttasks", lambda _: "baseType eq 'projecttask' or userId eq me.id"
            ),
            self._route("/me", self._user),
            self._route("/users/me", self._user),
            self._route("/me/permissions", self._permissions),
            self._route("/timetracking/settings", lambda _: _json(_TIME_TRACKING_SETTINGS)),
            self._route("/timeentries/{id}", self._time_entry),
        ]
        routes += [*self._of_project(), *self._whole_lists()]
        for table in TABLES.keys() - {"timeentries", "projecttasks"} - _BY_PROJECT:
            restriction = _unarchived if table in _ARCHIVABLE else lambda _: "true"
            routes.append(self._list(f"/{table}", table, restriction, shape=_team if table == "teams" else None))
        handlers: Any = {ApiError: _api_error, HTTPException: _http_error}
        return Starlette(routes=routes, exception_handlers=handlers)

    def _route(self, path: str, handler: Callable[[Request], Response], name: str = "single") -> Route:
        async def endpoint(request: Request) -> Response:
            return handler(request)

        return Route(f"{BASE_PATH}{path}", endpoint, methods=["GET"], name=name)

    def _list(
        self, path: str, table: str, restriction: Callable[[Request], str], *, shape: Shape | None = None
    ) -> Route:
        """
        A list endpoint.

        :param restriction: gives the filter expression of what it is limited to.
        :param shape: makes the row that is shown of the one that is stored.
        """

        def handler(request: Request) -> Response:
            return self._page(request, table, restriction(request), shape)

        return self._route(path, handler, name="list")

    def _change(self, method: str, path: str, handler: Callable[[Request, bytes], Response | None]) -> Route:
        """An endpoint that changes something; its handler gets the body, and gives None for 204."""

        async def endpoint(request: Request) -> Response:
            return handler(request, await request.body()) or Response(status_code=204)

        return Route(f"{BASE_PATH}{path}", endpoint, methods=[method], name="change")

    def _changes_of_one(self) -> list[Route]:
        changes, path = self._changes, "/timeentries/{id}"
        return [
            self._change("POST", "/timeentries", lambda _, body: _json(changes.create(read_form(body, NewEntryForm)))),
            self._change("PUT", path, lambda r, body: _json(changes.replace(_guid(r), read_form(body, EntryForm)))),
            self._change("DELETE", path, lambda request, _: changes.delete(_guid(request))),
            self._change("POST", f"{path}/removebreaks", lambda r, _: _json(changes.remove_breaks(_guid(r)))),
        ]

    def _changes_of_many(self) -> list[Route]:
        changes = self._changes

        def batch(request: Request, body: bytes) -> Response:
            result = changes.batch(request.path_params["operation"], read_form(body, BatchForm))
            return _json(result, status=207)

        def set_type_of_work(_: Request, body: bytes) -> None:
            form = read_form(body, TypeOfWorkForm)
            changes.set_type_of_work(form.ids, form.typeOfWorkId)

        def setter(name: str, change: Callable[[Sequence[UUID]], None]) -> Route:
            return self._change("POST", f"/timeentries/{name}", lambda _, body: change(read_form(body, IdsForm).ids))

        return [
            self._change("POST", "/timeentries/batch/{operation}", batch),
            self._change("POST", "/timeentries/settypeofwork", set_type_of_work),
            setter("delete", changes.delete_many),
            setter("setbillable", changes.set_billable),
            setter("setunbillable", changes.set_unbillable),
            setter("setbilled", changes.set_billed),
            setter("setunbilled", changes.set_unbilled),
        ]

    def _last_entries(self) -> list[Route]:
        def answer(user: str) -> Response:
            text = self._changes.last(user)
            return Response(status_code=204) if text is None else Response(text, media_type="application/json")

        def mine(request: Request) -> Response:
            return answer(_checked_guid(request.query_params.get("userId", self._me)))

        return [
            self._route("/me/timeentries/last", mine),
            self._route("/users/{id}/timeentries/last", lambda request: answer(_guid(request))),
        ]

    def _of_project(self) -> list[Route]:
        def own(request: Request) -> str:
            return f"projectId eq guid'{self._project(request)}'"

        def in_task_lists(request: Request) -> str:
            ids = self._lists.task_lists[self._project(request)]
            return " or ".join(f"id eq guid'{each}'" for each in ids) or "false"

        def of_workflow(request: Request) -> str:
            self._project(request)
            return "true"

        return [
            self._list("/projects/{id}/projecttasks", "projecttasks", own),
            self._list("/projects/{id}/taskstatuses", "taskstatuses", own),
            self._list("/projects/{id}/retainers", "retainers", own),
            self._list("/projects/{id}/tasklists", "tasklists", in_task_lists),
            self._list("/projects/{id}/projectstatuses", "projectstatuses", of_workflow),
        ]

    def _whole_lists(self) -> list[Route]:
        """Lists that awork does not page: parameters that it does not know change nothing."""

        def whole(request: Request) -> Response:
            rows = self._lists.whole[request.url.path.removeprefix(f"{BASE_PATH}/")]
            if request.url.path.endswith("/roles") and not _flag(request, "showArchived"):
                rows = [row for row in rows if not row["isArchived"]]
            if request.url.path.endswith("/absenceregions") and self._settings.missing_permissions:
                rows = [
                    {**row, "assignedUsers": [each for each in row["assignedUsers"] if each == self._me]}
                    for row in rows
                ]
            return _json(rows)

        def of_project(request: Request) -> Response:
            self._project(request)
            return whole(request)

        paths = [path for path in self._lists.whole if not path.startswith("projects/")]
        of_projects = ["/projects/{id}/members", "/projects/{id}/customfielddefinitions"]
        return [
            *(self._route(f"/{path}", whole) for path in paths),
            *(self._route(path, of_project) for path in of_projects),
        ]

    @property
    def _visible(self) -> str:
        return "userId eq me.id" if self._settings.missing_permissions else "true"

    def _entries_of(self, column: str, owners: str) -> Callable[[Request], str]:
        def restriction(request: Request) -> str:
            owner = _guid(request)
            if self._store.find(owners, owner) is None and not self._store.refers(column, owner):
                raise ApiError(404, "not-found", f"There is no {column} {owner}.")
            return f"{column} eq guid'{owner}' and {self._visible}"

        return restriction

    def _project(self, request: Request) -> str:
        """The project of the path; one that there is not is 404."""
        project = _guid(request)
        if self._store.find("projects", project) is None:
            raise ApiError(404, "not-found", f"There is no project {project}.")
        return project

    def _page(self, request: Request, table: str, restriction: str, shape: Shape | None) -> Response:
        settings = self._settings
        page = _positive(request, "page", 1, _LARGEST_PAGE)
        size = min(_positive(request, "pageSize", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE), settings.max_page_size)
        try:
            where = self._where(table, restriction, request.query_params.get("filterby", ""))
            order = self._order(table, request.query_params.get("orderby", ""))
        except FilterError as error:
            raise ApiError(400, "invalid-filter-or-order", f"The filter or order is invalid: {error}.") from error
        snapshot = self._store.page(table, where=where, order=order, limit=size, offset=(page - 1) * size)
        if not snapshot.texts and page > 1 and settings.past_end != "empty":
            if settings.past_end == "refused":
                raise ApiError(400, "value-out-of-range", f"There is no page {page}.", field="page")
            last = max(0, snapshot.total - 1) // size * size
            snapshot = self._store.page(table, where=where, order=order, limit=size, offset=last)
        more_match = snapshot.total > page * size
        rows = _with_holes(snapshot.texts, settings.holes if more_match else 0)
        headers = {"aw-page": str(page), "aw-items": str(len(rows))}
        if settings.page_size_header:
            headers["aw-pagesize"] = str(size)
        if settings.total_header:
            headers["aw-totalitems"] = str(snapshot.total)
        if shape:
            rows = [shape(row, request) for row in rows]
        return Response(b"[" + b",".join(rows) + b"]", media_type="application/json", headers=headers)

    def _where(self, table: str, restriction: str, expression: str) -> Sql:
        settings = self._settings
        scope = TABLES[table].scope
        context = Context(
            me=self._me,
            now=settings.now or settings.clock,
            zone=ZoneInfo(settings.literal_timezone),
            shifted_days=settings.shifted_days,
            literal_seconds=settings.literal_seconds,
        )
        where = filter_sql(restriction, scope, context)
        if not expression.strip():
            return where
        return both(where, filter_sql(expression, scope, context, refused=settings.unfilterable))

    def _order(self, table: str, expression: str) -> Sequence[str]:
        settings = self._settings
        terms = order_sql(expression, TABLES[table].scope, settings.unorderable) if expression.strip() else []
        if settings.ignore_orderby:
            return ["random()"] if settings.ignore_orderby == "random" else []
        if settings.tie_break == "refused" and len(terms) > 1:
            raise FilterError("orderby takes one term")
        if settings.tie_break == "random":
            return [*terms[:1], "random()"]
        return terms

    def _time_entry(self, request: Request) -> Response:
        text = self._store.find("timeentries", _guid(request))
        if text is None or (self._settings.missing_permissions and json.loads(text).get("userId") != self._me):
            raise ApiError(404, "not-found", f"There is no time entry {request.path_params['id']}.")
        return Response(text, media_type="application/json")

    def _user(self, request: Request) -> Response:
        workspace = self._settings.workspace
        user = json.loads(self._store.find("users", self._me) or b"{}")
        name = re.sub(r"\W+", "-", workspace.name.lower())
        user["workspace"] = {"id": workspace.id, "name": workspace.name, "url": f"https://{name}.awork.com"}
        return _json(user)

    def _permissions(self, request: Request) -> Response:
        """Other people's entries need *write* on ``project-timetracking``."""
        settings = self._settings
        limited = settings.missing_permissions
        permissions = [
            {"feature": feature, "accessLevels": ["read"] if limited else ["read", "write"]} for feature in _FEATURES
        ]
        permission = {
            "userId": self._me,
            "isAdmin": settings.admin and not limited,
            "isGuest": False,
            "roleId": _ROLE,
            "isBlocked": False,
            "permissions": permissions,
            "projectRolesPermissions": [],
        }
        return _json({"signature": "c2FuZGJveA==", "userPermission": permission})


def trace_id_of(request: Request) -> str:
    """The trace id that the server gave to this request."""
    return str(request.scope["awork.trace_id"])


def _json(value: Any, *, status: int = 200) -> Response:
    return Response(compact_json(value), status_code=status, media_type="application/json")


def _unarchived(request: Request) -> str:
    return "true" if _flag(request, "showArchived") else "isArchived ne true"


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() == "true"


def _team(text: bytes, request: Request) -> bytes:
    """The ids of users and projects come only if asked for."""
    team = json.loads(text)
    for field, flag in (("userIds", "includeUserIds"), ("projectIds", "includeProjectIds")):
        if not _flag(request, flag):
            team.pop(field, None)
    return compact_json(team).encode()


def _simplified(text: bytes, _: Request) -> bytes:
    return compact_json(simplified(json.loads(text))).encode()


def _guid(request: Request) -> str:
    return _checked_guid(str(request.path_params["id"]))


def _checked_guid(text: str) -> str:
    if not _GUID.fullmatch(text):
        raise ApiError(404, "not-found", f"{text!r} is no id.")
    return text.lower()


def _positive(request: Request, name: str, default: int, largest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1:
        raise ApiError(400, "validation-failed", f"{name} must be a positive number, not {text!r}.", field=name)
    return min(int(text), largest)


def _with_holes(rows: list[bytes], holes: int) -> list[bytes]:
    """The rows without as many of them, evenly spread, neither the first nor the last."""
    dropped = {(hole + 1) * len(rows) // (holes + 1) for hole in range(holes)} - {0, len(rows) - 1}
    return [row for place, row in enumerate(rows) if place not in dropped]


async def _api_error(request: Request, error: ApiError) -> Response:
    return _error(error.status, error.body(trace_id_of(request)))


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _error(error.status_code, usual_body(error.status_code, trace_id_of(request)))


def _error(status: int, body: dict[str, Any]) -> Response:
    return Response(compact_json(body), status_code=status, media_type="application/json")
