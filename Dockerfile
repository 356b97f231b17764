# The service as an image: two targets of one file.
#
#   docker build --target cloud -t sluice .     for Cloud Run: no volume and no health check of its own
#   docker build --target full -t sluice .      for the embedded store (the default; compose.yaml runs it)
#
# A build by tag takes the newest python:3.13-slim, patches included. To say exactly which one, give its digest:
#   --build-arg PYTHON_DIGEST=sha256:…          of: docker buildx imagetools inspect python:3.13-slim
#   --build-arg UV_DIGEST=sha256:…              likewise of the uv image below
# VERSION, REVISION and SOURCE become the image's labels. `make image` builds both targets and checks what runs.

ARG PYTHON_DIGEST=
ARG UV_DIGEST=

FROM ghcr.io/astral-sh/uv:0.13.8${UV_DIGEST:+@$UV_DIGEST} AS uv

FROM python:3.13-slim${PYTHON_DIGEST:+@$PYTHON_DIGEST} AS python


# What uv.lock names, as wheels only: nothing is compiled, so no compiler is needed.
FROM python AS packages
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_BUILD=1 \
    UV_NO_DEV=1 \
    UV_PYTHON=/usr/local/bin/python3.13 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY pyproject.toml uv.lock ./
# uv reads it to see that the lock file is current; the client itself is a dependency of tests only.
COPY client/pyproject.toml client/
# Without what only the command `sluice` needs on a laptop, and what only that needs.
ENV LOCKED="uv export --quiet --locked --no-emit-project --prune aiohttp --prune google-cloud-pubsub --prune shtab"
RUN --mount=type=cache,target=/root/.cache/uv \
    $LOCKED -o packages.txt \
    && uv venv --quiet /opt/venv \
    && uv pip install --quiet --python /opt/venv --require-hashes -r packages.txt


# The service itself, with its bytecode: the image's files cannot be written by the process that runs them. Modules
# beside app/ are record types of your own (SLUICE_RECORD=orders:Order); there need not be any.
FROM python AS source
WORKDIR /srv/sluice
COPY LICENSE *.py ./
COPY app/ app/
# What declarations import (`from sluice import Stream, Versions`), and the command that makes keys.
COPY sluice/__init__.py sluice/
COPY sluice/cli/__init__.py sluice/cli/key.py sluice/cli/
# A mirror, which reads its source by the client.
COPY sluice/mirror/ sluice/mirror/
COPY client/sluice_client/ sluice_client/
RUN python -m compileall -q .


# What both targets have in common: Python without pip, an account without rights, and how to start.
FROM python AS runtime
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.13/site-packages/pip* /usr/local/lib/python3.13/ensurepip \
    && groupadd --gid 10001 sluice \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sluice \
    && install -d -o 10001 -g 10001 -m 0750 /data \
    && install -d /etc/sluice \
    && printf '{"grants": []}\n' >/etc/sluice/grants.json
# A container is reached over its network only, so it listens on all of it; /v1 then wants to know its callers. Until
# it is told (SLUICE_API_PRINCIPALS, or another SLUICE_GRANTS_FILE), this file lets nobody in.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8080 \
    SLUICE_HOST=0.0.0.0 \
    SLUICE_GRANTS_FILE=/etc/sluice/grants.json
WORKDIR /srv/sluice
EXPOSE 8080
# By number, so that a platform can see that it is not root.
USER 10001:10001
# Python is the first process and gets SIGTERM itself: it admits nothing more, finishes what it admitted, and ends.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "app"]


FROM runtime AS cloud
COPY --from=packages /opt/venv /opt/venv
COPY --from=source /srv/sluice /srv/sluice
ENV SLUICE_BACKEND=bigquery
ARG PYTHON_DIGEST VERSION=unknown REVISION=unknown SOURCE=
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim" \
      org.opencontainers.image.base.digest="$PYTHON_DIGEST"


FROM runtime AS full
COPY --from=packages /opt/venv /opt/venv
COPY --from=source /srv/sluice /srv/sluice
# The only place the process writes to. A volume: it outlives the container, and works under a read-only root.
ENV SLUICE_DATA_PATH=/data/sluice.duckdb
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('SLUICE_PORT') or os.environ['PORT']), timeout=4); c.request('GET', '/health/ready'); raise SystemExit(c.getresponse().status != 200)"]
ARG PYTHON_DIGEST VERSION=unknown REVISION=unknown SOURCE=
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim" \
      org.opencontainers.image.base.digest="$PYTHON_DIGEST"
