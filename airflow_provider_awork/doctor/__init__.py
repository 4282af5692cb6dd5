"""A check of a real workspace: does awork there behave as exact exports need? Reads only, knows nothing of Airflow."""
