"""What the doctor found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """
    How a check ended.

    ``WARNING`` costs something, but no entry. ``UNPROVEN``: the workspace has nothing to prove it with. ``SKIPPED``:
    another check failed that it rests on.
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

    :param outcome: how it ended.
    :param found: what awork did.
    :param meaning: what follows for exports; empty if nothing does.
    :param setting: what to set; empty if nothing needs to be.
    :param check: name of the check; the examination fills it in.
    """

    outcome: Outcome
    found: str
    meaning: str = ""
    setting: str = ""
    check: str = ""


def ok(found: str, meaning: str = "", setting: str = "") -> Finding:
    return Finding(outcome=Outcome.OK, found=found, meaning=meaning, setting=setting)


def warning(found: str, meaning: str, setting: str) -> Finding:
    return Finding(outcome=Outcome.WARNING, found=found, meaning=meaning, setting=setting)


def failed(found: str, meaning: str, setting: str) -> Finding:
    return Finding(outcome=Outcome.FAILED, found=found, meaning=meaning, setting=setting)


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
    :param requests: how many requests it took.
    :param seconds: how long it took.
    """

    connection: str
    base_url: str | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None
    identity: str | None = None
    findings: Sequence[Finding]
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

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON types."""
        findings = [{"check": finding.check, **asdict(finding)} for finding in self.findings]
        return {"holds": self.holds, "proven": self.proven, **asdict(self), "findings": findings}
