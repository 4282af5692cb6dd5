"""Filters from Python values; the public address of :mod:`.lists.conditions`, where they are described."""

from airflow_provider_awork.client.lists.conditions import (
    Condition,
    Field,
    Operand,
    Text,
    check_balanced,
    eom,
    eow,
    field,
    item,
    me,
    now,
    som,
    sow,
    today,
)
from airflow_provider_awork.client.lists.filters import all_of
from airflow_provider_awork.client.lists.literals import Template, datetime_literal, day_literal, template

__all__ = [
    "Condition", "Field", "Operand", "Template", "Text", "all_of", "check_balanced", "datetime_literal", "day_literal",
    "eom", "eow", "field", "item", "me", "now", "som", "sow", "template", "today",
]  # fmt: skip
