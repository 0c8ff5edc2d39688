# Debian, not Alpine: there are no musl wheels of PostgreSQL.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/talktime
COPY . .
RUN /opt/talktime/bin/pip install --no-cache-dir --disable-pip-version-check ".[stripe,sentry,push]"

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin talktime \
    && install -d -m 0700 -o talktime -g talktime /data
COPY --from=build /opt/talktime /opt/talktime
ENV PATH=/opt/talktime/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TALKTIME_HOST=0.0.0.0 \
    TALKTIME_DATA_DIR=/data
USER talktime
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Begins the drain of `talktime serve`. It takes up to 45 s, which `docker stop` must be told.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
CMD ["talktime", "serve"]
