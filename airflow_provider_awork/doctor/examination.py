"""
All checks of the doctor: each assumption that exports rest on and that awork's documentation leaves open.

A check is a function that gives a finding. What it rests on may be missing: then it raises ``NotCheckedError``, or
``NotProvenError`` if the workspace has nothing to prove it with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from airflow_provider_awork.client.client import AworkClient
from airflow_provider_awork.client.http.config import DEFAULT_BASE_URL
from airflow_provider_awork.client.http.retries import RetryRules
from airflow_provider_awork.doctor import data_checks, filter_checks, page_checks
from airflow_provider_awork.doctor.report import Finding, Outcome, Report, failed
from airflow_provider_awork.doctor.samples import NotCheckedError, NotProvenError
from airflow_provider_awork.doctor.workspace import Workspace
from airflow_provider_awork.exceptions import (
    AworkAuthenticationError,
    AworkError,
    AworkNotFoundError,
    AworkPermissionError,
    AworkRateLimitError,
    AworkServerError,
    AworkTransportError,
)

CHECKS: Mapping[str, Callable[[Workspace], Finding]] = {
    "Workspace": data_checks.identity,
    "Permissions": data_checks.permissions,
    "Entries": page_checks.entries,
    "Page headers": page_checks.page_headers,
    "Page size": page_checks.page_size,
    "Short pages": page_checks.short_pages,
    "Past the end": page_checks.past_the_end,
    "Order by createdOn": page_checks.order_by_created_on,
    "Order of ties": page_checks.order_of_ties,
    "Filter on createdOn": filter_checks.filter_on_created_on,
    "Zone of literals": filter_checks.zone_of_literals,
    "Seconds of literals": filter_checks.seconds_of_literals,
    "Filter on days": filter_checks.filter_on_days,
    "Filter on updatedOn": filter_checks.filter_on_updated_on,
    "Order by updatedOn": filter_checks.order_by_updated_on,
    "Rate limit": data_checks.rate_limit,
    "Clock": data_checks.clock,
    "Nulls": data_checks.nulls,
    "Fields": data_checks.fields,
}

# Somebody waits for the report: less patience than a run has.
RETRY = RetryRules(tries=2, first_wait=0.5, longest_wait=2.0, rate_limit_tries=2)
UNANSWERED_CHECKS = 2

API_KEY = "password: a valid API key (awork: Settings > Integrations > API clients > Manage API keys)"
NETWORK = "host, proxies, verify or the time-outs; ask awork's support about 5xx"
# The first class that fits counts.
ADVICE: Mapping[type[AworkError], tuple[str, str]] = {
    AworkAuthenticationError: ("nothing can be read", API_KEY),
    AworkPermissionError: ("exports fail", "password: a key whose role may do this"),
    AworkNotFoundError: ("exports fail", f"host: awork's API is at {DEFAULT_BASE_URL}"),
    AworkRateLimitError: ("exports wait, and may fail", "requests_per_minute; look who else spends the budget"),
    AworkServerError: ("exports fail if it lasts", NETWORK),
    AworkTransportError: ("exports fail if it lasts", NETWORK),
    AworkError: ("exports fail likewise", page_checks.NOTHING_TO_SET),
}
NO_ANSWER = (AworkServerError, AworkTransportError, AworkRateLimitError)


def examine(client: AworkClient, *, connection: str) -> Report:
    """
    Make all checks, in fewer than 30 requests that change nothing. An error of awork is a finding, too.

    :param client: of the workspace.
    :param connection: id of the connection, for the report.

    >>> from airflow_provider_awork.client.http.config import build_config
    >>> from airflow_provider_awork.sandbox import Sandbox
    >>> with Sandbox(entries=10) as awork:
    ...     config = build_config(token=awork.token, base_url=awork.url)
    ...     report = examine(AworkClient(config), connection="awork_default")
    >>> report.holds, report.requests < 30
    (True, True)
    """
    started = time.monotonic()
    workspace = Workspace(client)
    findings: list[Finding] = []
    unanswered = 0
    for name, check in CHECKS.items():
        if unanswered >= UNANSWERED_CHECKS:
            finding = Finding(outcome=Outcome.SKIPPED, found="awork cannot be asked")
        else:
            finding, error = _find(check, workspace)
            unanswered += isinstance(error, NO_ANSWER)
            if error and not findings:  # not even the workspace's name
                unanswered = UNANSWERED_CHECKS
        findings.append(replace(finding, check=name, found=client.session.redact(finding.found)))
    identity = workspace.known_identity
    return Report(
        connection=connection,
        base_url=workspace.base_url,
        workspace_id=identity.workspace_id if identity else None,
        workspace_name=identity.workspace_name if identity else None,
        identity=identity.name if identity else None,
        findings=findings,
        behaviour=workspace.behaviour,
        requests=client.session.requests_sent,
        seconds=round(time.monotonic() - started, 3),
    )


def _find(check: Callable[[Workspace], Finding], workspace: Workspace) -> tuple[Finding, AworkError | None]:
    """What a check finds, and the error if that is one."""
    try:
        return check(workspace), None
    except NotProvenError as reason:
        return Finding(outcome=Outcome.UNPROVEN, found=str(reason)), None
    except NotCheckedError as reason:
        return Finding(outcome=Outcome.SKIPPED, found=str(reason)), None
    except AworkError as error:
        meaning, setting = next(advice for kind, advice in ADVICE.items() if isinstance(error, kind))
        return failed(str(error), meaning, setting), error
