"""The text of ``filterby``, whether it is given as text or as a condition."""

from __future__ import annotations

from airflow_provider_awork.client.lists.conditions import Condition, check_balanced
from airflow_provider_awork.exceptions import AworkConfigError


def filter_text(filterby: str | Condition | None) -> str | None:
    """
    Return the text of a filter; what is no condition stays as it is.

    Operators call it in their constructors, so that Airflow renders, stores and shows text.
    """
    return str(filterby) if isinstance(filterby, Condition) else filterby


def all_of(*expressions: str | Condition | None) -> str | None:
    """
    Join expressions with ``and``; None and blank ones are left out.

    :raises AworkConfigError: one is neither text nor a condition, or its quotes or parentheses do not match, so that it
        could reach into another.

    >>> all_of("isBilled eq false", None, "duration gt 0 or isBillable eq true")
    '(isBilled eq false) and (duration gt 0 or isBillable eq true)'
    """
    texts = [filter_text(each) for each in expressions]
    for text in texts:
        if not isinstance(text, str | None):
            raise AworkConfigError(f"filterby: {text!r} is not text; write an expression such as 'isBilled eq false'")
    given = [text.strip() for text in texts if text is not None and text.strip()]
    if len(given) < 2:
        return "".join(given) or None
    for each in given:
        check_balanced(each)
    return " and ".join(f"({each})" for each in given)
