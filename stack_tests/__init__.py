"""Tests on a whole, running Airflow: `make test-stack`."""
