"""Checks of who asks, how often it may ask, and what entries look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_provider_awork.client.http.rate_limit import announced_limits, http_date
from airflow_provider_awork.columns.decoding import RowDecoder
from airflow_provider_awork.columns.leftovers import Leftovers
from airflow_provider_awork.columns.time_entry import TIME_ENTRY
from airflow_provider_awork.doctor.report import Finding, Outcome, failed, ok, warning
from airflow_provider_awork.doctor.workspace import Workspace

PLANS = {1000: "Basic to Professional", 3000: "Enterprise"}
SHOWN_FIELDS = 5
SAME_CLOCK = 60  # seconds


def identity(workspace: Workspace) -> Finding:
    """Whose key it is."""
    return ok(f"{workspace.identity.workspace_name}, as {workspace.identity.name}")


def permissions(workspace: Workspace) -> Finding:
    """Find out what the key can see: missing permissions shrink awork's lists without an error."""
    key = "password: an administrator's key, or one whose role may write project time tracking"
    if workspace.identity.sees_all_entries:
        return ok("sees everybody's time entries")
    if workspace.identity.sees_all_entries is None:
        return Finding(
            outcome=Outcome.UNPROVEN,
            found="awork does not report what the key can see",
            meaning="other people's entries may be missing from exports, without an error",
            setting=key,
            is_required=True,
        )
    return failed(
        "sees only its own time entries", "everybody else's entries are missing from exports, without an error", key
    )


def rate_limit(workspace: Workspace) -> Finding:
    """awork's budget for all clients of the workspace together."""
    own = workspace.extras.requests_per_minute
    minute, second = announced_limits(workspace.samples.first.headers)
    if minute is None:
        return warning(
            "awork does not tell",
            "exports cannot see what other clients of the workspace spend, and may meet 429, which they wait out",
            f"requests_per_minute (now {own}): what others leave of the plan's 1000 (Enterprise: 3000)",
        )
    found = f"{minute:.0f} a minute, {'?' if second is None else f'{second:.0f}'} a second: plan "
    found += PLANS.get(int(minute), "unknown")
    if minute < own:
        meaning = "exports ask faster than awork allows, and spend what other clients need"
        return warning(found, meaning, f"requests_per_minute: {max(1, int(minute * 0.9))}")
    return ok(found, f"this connection takes at most {own} a minute")


def clock(workspace: Workspace) -> Finding:
    """awork's clock, which incremental loads go by."""
    at = http_date(workspace.samples.first.headers.get("date"))
    if at is None:
        return warning("no Date header", "incremental loads fail", "nothing; look for a proxy that drops headers")
    apart = abs((datetime.now(UTC) - at).total_seconds())
    return ok(f"told, {apart:.0f} s from this machine's", "exports go by awork's clock" if apart > SAME_CLOCK else "")


def nulls(workspace: Workspace) -> Finding:
    """awork leaves out what is null."""
    entries = workspace.samples.entries
    sent = Counter(path for entry in entries for path in set(_null_paths(entry)))
    if not sent:
        return ok("left out")
    path, times = sent.most_common(1)[0]
    found = f"sent in {len(sent)} fields, such as {path} in {times} of {len(entries)} entries"
    return ok(found, "null and absent are the same to exports; NDJSON has what awork sends")


def _null_paths(value: Any, path: str = "") -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _null_paths(inner, f"{path}.{key}" if path else key)


def fields(workspace: Workspace) -> Finding:
    """Fields that the model does not know, or that have another type."""
    entries = workspace.samples.entries
    leftovers = Leftovers()
    RowDecoder(TIME_ENTRY, leftovers).decode([row for sample in workspace.samples.all for row in sample.page.rows])
    unknown = leftovers.unknown_fields + leftovers.misfits
    if not unknown:
        return ok("all known")
    shown = [f"{path} ({times} of {len(entries)})" for path, times in unknown.most_common(SHOWN_FIELDS)]
    more = "" if len(unknown) <= SHOWN_FIELDS else f" and {len(unknown) - SHOWN_FIELDS} more"
    return warning(
        f"unknown, or of another type: {', '.join(shown)}{more}",
        "nothing is lost: Parquet and CSV have them in the column extra, NDJSON as they are",
        "nothing; a newer version of this package may have columns for them",
    )
