"""The demo: a local SageMaker and a local Airflow, and the example DAG run on them."""
