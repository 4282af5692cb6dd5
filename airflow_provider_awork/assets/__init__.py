"""awork's lists and exported sets as Airflow assets."""
