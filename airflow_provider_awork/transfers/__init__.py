"""Airflow transfer operators."""
