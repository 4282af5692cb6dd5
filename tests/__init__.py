"""Tests; a package, so that ``from tests.airflow_harness import run_dag`` works in every folder below."""
