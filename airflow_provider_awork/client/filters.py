"""The public address of :mod:`.lists.filters`."""

from airflow_provider_awork.client.lists.filters import (
    Condition,
    Field,
    Operand,
    Template,
    Text,
    all_of,
    check_balanced,
    datetime_literal,
    day_literal,
    eom,
    eow,
    field,
    filter_text,
    item,
    me,
    now,
    som,
    sow,
    template,
    today,
)

__all__ = [
    "Condition", "Field", "Operand", "Template", "Text", "all_of", "check_balanced", "datetime_literal", "day_literal",
    "eom", "eow", "field", "filter_text", "item", "me", "now", "som", "sow", "template", "today",
]  # fmt: skip
