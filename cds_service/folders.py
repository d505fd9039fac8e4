"""A folder on this host for what the workers share while the service runs: used tokens, and numbers."""

import atexit
import os
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp


def shared_folder() -> Path:
    """Make a folder that goes away with the process that made it; call it before workers are forked."""
    folder = Path(mkdtemp(prefix="mmcds-"))
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a worker that ends leaves it to the others
        rmtree(folder, ignore_errors=True)
