"""The parameters that select entries: a blank text among them is an error, never everything."""

from __future__ import annotations

from typing import Any

from airflow_provider_awork.exceptions import AworkConfigError

SELECTION = ("filterby", "project_id", "awork_task_id")


def refuse_blank(name: str, given: Any) -> None:
    """
    Refuse a blank text, which a template leaves that rendered to nothing. None and other types are not looked at.

    :param name: of the parameter, for messages.
    :raises AworkConfigError: it is blank.
    """
    if isinstance(given, str) and not given.strip():
        raise AworkConfigError(
            f"{name}: the text is blank; it selects nothing and would count as none\n"
            "A template in it may have rendered to nothing. Pass None, or leave it out, if everything is meant."
        )


def refuse_blank_parameters(source: object, *names: str) -> None:
    """Refuse parameters of an operator or a trigger as :func:`refuse_blank` does."""
    for name in names:
        refuse_blank(name, getattr(source, name))
