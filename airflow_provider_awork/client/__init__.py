"""HTTP and awork: settings, tokens, one request, rate limits, paging, operations. Knows nothing of Airflow."""
