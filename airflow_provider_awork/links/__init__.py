"""Links from Airflow's task instances."""
