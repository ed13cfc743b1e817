# cds-service as an image: built by one install script, run by nobody in particular on a read-only tree.
# docker build -t cds-service . && docker run --read-only --tmpfs /tmp -v cds-data:/data -p 8080:8080 \
#   -e CDS_PUBLIC_URL=https://cds.example.org -e CDS_JWT=off cds-service
FROM python:3.12-slim-bookworm AS built
COPY . /checkout
RUN /checkout/cds_service/deploy/install.sh /checkout /opt/cds-service

FROM python:3.12-slim-bookworm
COPY --from=built /opt/cds-service /opt/cds-service
RUN install -d -o 10001 -g 10001 -m 0700 /data
ENV CDS_HOST=0.0.0.0 CDS_DATA_FOLDER=/data CDS_DATABASE_URL=sqlite:////data/cds.sqlite3 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=2s --start-period=10s CMD ["/opt/cds-service/bin/python", "-c", \
    "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('CDS_PORT', 8080)}/health/live\", timeout=1)"]
ENTRYPOINT ["/opt/cds-service/bin/cds-service"]
CMD ["serve"]
