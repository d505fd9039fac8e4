"""Run the command line without installing the package: `python -m cds_service`."""

from cds_service.cli import main

main()
