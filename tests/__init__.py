"""Tests; a package, so that ``from tests.helpers.airflow_harness import run_dag`` works in every folder below."""
