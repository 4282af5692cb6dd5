"""Apache Airflow provider for awork (https://www.awork.com)."""

__version__ = "0.1.0"
