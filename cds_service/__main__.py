"""python -m cds_service: the same as cds-service."""

from cds_service.cli import main

main(prog_name="cds-service")
