"""The doctor's findings on one workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from airflow_provider_awork.client.behaviour import AworkBehaviour


class Outcome(StrEnum):
    """
    The result of a check.

    ``WARNING``: it costs something, but no entry is lost. ``UNPROVEN``: the workspace has no entries that could prove
    it. ``SKIPPED``: a check that it depends on failed.
    """

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNPROVEN = "not proven"
    SKIPPED = "not checked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    One row of the report.

    :param outcome: the result.
    :param found: what awork did.
    :param meaning: the consequence for exports; empty if there is none.
    :param setting: what to set; empty if nothing needs to be set.
    :param check: name of the check; the examination fills it in.
    :param is_required: whether exports cannot be trusted as long as this is not proven.
    :param extras: fields of :class:`AworkBehaviour` that fit this workspace better, with their values.
    """

    outcome: Outcome
    found: str
    meaning: str = ""
    setting: str = ""
    check: str = ""
    is_required: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)


def ok(found: str, meaning: str = "", setting: str = "", **extras: Any) -> Finding:
    return Finding(outcome=Outcome.OK, found=found, meaning=meaning, setting=setting, extras=extras)


def warning(found: str, meaning: str, setting: str) -> Finding:
    return Finding(outcome=Outcome.WARNING, found=found, meaning=meaning, setting=setting)


def failed(found: str, meaning: str, setting: str, **extras: Any) -> Finding:
    return Finding(outcome=Outcome.FAILED, found=found, meaning=meaning, setting=setting, extras=extras)


@dataclass(frozen=True, kw_only=True)
class Report:
    """
    All findings on one connection.

    :param connection: its id in Airflow.
    :param base_url: where awork was asked; None if the connection could not be used.
    :param workspace_id: id of the workspace; None if awork did not say.
    :param workspace_name: its name, likewise.
    :param identity: name of the user that the key stands for, likewise.
    :param findings: in the order of the checks.
    :param behaviour: what the connection assumes of awork; None if the connection could not be used.
    :param requests: how many requests it took.
    :param seconds: how long it took.
    """

    connection: str
    base_url: str | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None
    identity: str | None = None
    findings: Sequence[Finding]
    behaviour: AworkBehaviour | None = None
    requests: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.outcome is Outcome.FAILED]

    @property
    def holds(self) -> bool:
        """Whether nothing was found that breaks the guarantees of exports."""
        return not self.failed

    @property
    def proven(self) -> bool:
        """Whether all checks could be made."""
        return all(finding.outcome in (Outcome.OK, Outcome.WARNING) for finding in self.findings)

    @property
    def lacks_required_proof(self) -> bool:
        """Whether a check that exports cannot do without has proven nothing."""
        return any(finding.is_required and finding.outcome is not Outcome.OK for finding in self.findings)

    @property
    def observed(self) -> AworkBehaviour | None:
        """The connection's assumptions, corrected by the findings; None if the connection could not be used."""
        if self.behaviour is None:
            return None
        corrections = {name: value for finding in self.findings for name, value in finding.extras.items()}
        return msgspec.structs.replace(self.behaviour, **corrections)

    @property
    def extras_to_paste(self) -> str | None:
        """JSON of the extras that fit this workspace; None if the connection has them already."""
        if self.observed is None or self.observed == self.behaviour:
            return None
        return self.observed.extras_json()

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON types."""
        findings = [{"check": finding.check, **asdict(finding)} for finding in self.findings]
        observed = None if self.observed is None else msgspec.structs.asdict(self.observed)
        return {
            "holds": self.holds,
            "proven": self.proven,
            **{name: value for name, value in asdict(self).items() if name != "behaviour"},
            "findings": findings,
            "extras": observed,
        }
