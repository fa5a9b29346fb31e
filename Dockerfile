# syntax=docker/dockerfile:1
ARG AIRFLOW_VERSION=3.3.2
ARG PYTHON_VERSION=3.11

FROM apache/airflow:${AIRFLOW_VERSION}-python${PYTHON_VERSION} AS wheel
WORKDIR /tmp/source
COPY --chown=airflow:0 pyproject.toml README.md LICENSE ./
COPY --chown=airflow:0 airflow_spot_provider airflow_spot_provider
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheels .

FROM apache/airflow:${AIRFLOW_VERSION}-python${PYTHON_VERSION}
ARG AIRFLOW_VERSION
COPY --chown=airflow:0 constraints.txt /tmp/constraints.txt
COPY --from=wheel --chown=airflow:0 /tmp/wheels /tmp/wheels
# The image's own Airflow is named beside the wheel, so that nothing here can move it to another version.
RUN wheel="$(ls /tmp/wheels/*.whl)" \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt \
        "apache-airflow==${AIRFLOW_VERSION}" "${wheel}[demo]" \
    && rm -rf /tmp/wheels /tmp/constraints.txt \
    && airflow-spot --version
