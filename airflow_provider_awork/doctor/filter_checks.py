"""Checks of what awork's filters can do, and how they read instants."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from airflow_provider_awork.client.http import json_text
from airflow_provider_awork.client.instants import instant_key
from airflow_provider_awork.client.lists.literal_checks import check_literals
from airflow_provider_awork.client.lists.refusals import accepts
from airflow_provider_awork.client.lists.resources import TIME_ENTRIES
from airflow_provider_awork.doctor.page_checks import NOTHING_TO_SET, day_of, own_day
from airflow_provider_awork.doctor.report import Finding, failed, ok, warning
from airflow_provider_awork.doctor.samples import NotCheckedError, NotProvenError
from airflow_provider_awork.doctor.workspace import Workspace
from airflow_provider_awork.exceptions import AworkAssumptionError, AworkFilterError

NOTHING_VISIBLE = "accepted, but no time entry is visible to prove it with"
LATEST_CHANGES = 50


def filter_on_created_on(workspace: Workspace) -> Finding:
    """What paging starts anew with, and windows on ``createdOn``."""
    literals, anchored = workspace.literals, workspace.behaviour.anchor_on_created_on
    if literals.ignored:
        return failed("accepted, but not applied", "windows would be ignored; exports notice and fail", NOTHING_TO_SET)
    if not literals.filterable:
        if not anchored:
            return ok("refused", "windows on createdOn fail; anchor_on_created_on is false, so exports work")
        setting = "anchor_on_created_on: false"
        return failed("refused", "exports of several pages fail", setting, anchor_on_created_on=False)
    if literals.probe is None:
        raise NotProvenError(NOTHING_VISIBLE)
    return ok("finds the newest entry", "" if anchored else "anchor_on_created_on may be true")


def zone_of_literals(workspace: Workspace) -> Finding:
    """The zone that literals of instants are read in; they carry none."""
    literals, assumed = workspace.literals, workspace.behaviour.literal_timezone
    if not literals.filterable:
        raise NotCheckedError("needs the filter on createdOn")
    if literals.probe is None:
        raise NotProvenError(NOTHING_VISIBLE)
    if literals.zone_holds:
        return ok(assumed)
    offset = _signed(literals.offset or timedelta())
    return failed(
        f"read at {offset}, as in {literals.zone}, not in {assumed}",
        "windows on createdOn and updatedOn would be shifted; exports notice and fail",
        f"literal_timezone: {literals.zone}, or your awork's zone that is at {offset} on "
        f"{literals.probe.second:%Y-%m-%d}",
        literal_timezone=literals.zone,
    )


def _signed(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def seconds_of_literals(workspace: Workspace) -> Finding:
    """Whether a literal can name a second."""
    literals = workspace.literals
    if not literals.filterable:
        raise NotCheckedError("needs the filter on createdOn")
    if literals.probe is None:
        raise NotProvenError(NOTHING_VISIBLE)
    if literals.seconds is None:
        raise NotCheckedError("needs the zone of literals")
    if literals.seconds == "read":
        return ok("read")
    if not workspace.behaviour.anchor_on_created_on:
        return warning(literals.seconds, "windows on createdOn and updatedOn fail", "windows on startDateLocal")
    return failed(
        literals.seconds,
        "exports of several pages, and windows on createdOn and updatedOn, fail",
        "anchor_on_created_on: false; windows on startDateLocal",
        anchor_on_created_on=False,
    )


def filter_on_days(workspace: Workspace) -> Finding:
    """What windows in days rest on: a literal is that day, in no zone. Read later, it would miss the day it names."""
    day = next((day for entry in reversed(workspace.samples.entries) if (day := day_of(entry))), None)
    if day is None:
        raise NotProvenError("no time entry has a day")
    try:
        rows = workspace.samples.read(1, 1, filterby=own_day(day)).page.rows
    except AworkFilterError:
        return warning("refused", "windows on startDateLocal fail", "windows on createdOn")
    if [day_of(json_text.decode(row)) for row in rows] == [day]:
        return ok("finds an entry on its own day")
    return failed(
        f"does not find the entries of {day} on that day",
        "windows on startDateLocal and startDateUtc would miss entries, without an error",
        "windows on createdOn; ask awork's support",
    )


def filter_on_updated_on(workspace: Workspace) -> Finding:
    """What windows on ``updatedOn`` and incremental loads rest on."""
    if workspace.literals.zone_holds is False:
        raise NotCheckedError("needs the zone of literals")
    session = workspace.session
    try:
        probe = check_literals(session, zone=workspace.behaviour.literal_timezone, field="updatedOn")
    except AworkFilterError:
        return _updated_on_refused()
    except AworkAssumptionError:
        meaning = "windows on updatedOn would miss entries; exports notice and fail"
        return failed("does not find the newest entry in its own second", meaning, NOTHING_TO_SET)
    if probe is not None:
        return ok("finds the newest entry")
    if not accepts(session, TIME_ENTRIES, filterby="updatedOn ge datetime'2000-01-01T00:00'"):
        return _updated_on_refused()
    raise NotProvenError(NOTHING_VISIBLE)


def _updated_on_refused() -> Finding:
    return warning(
        "refused",
        "windows on updatedOn and incremental loads fail",
        'window_field="startDateLocal", and export recent days again and again',
    )


def order_by_updated_on(workspace: Workspace) -> Finding:
    """The order for looking at the latest changes."""
    meaning, setting = "the latest changes cannot be asked for first", "nothing; exports do not need it"
    try:
        sample = workspace.samples.read(1, LATEST_CHANGES, orderby="updatedOn desc")
    except AworkFilterError:
        return warning("refused", meaning, setting)
    keys = [instant_key(str(json_text.decode(row).get("updatedOn")), "updatedOn") for row in sample.page.rows]
    if len(keys) < 2:
        raise NotProvenError("accepted, but there are not two entries")
    if all(later >= earlier for later, earlier in pairwise(keys)):
        return ok("kept")
    return warning("accepted, but not kept", meaning, setting)
