"""The service as a WSGI application for any server; `cds-service serve` gives it to gunicorn."""

from cds_service.main import serve

app = serve()
