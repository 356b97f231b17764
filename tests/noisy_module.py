"""Does at import what no module of the service may: the structure test proves its eyes on it."""

import logging
import os
import tempfile
import threading
from pathlib import Path

Path(tempfile.gettempdir(), "sluice-noisy-module").open("w").close()
os.environ.get("SLUICE_PORT")
threading.Thread(target=threading.Event().wait, daemon=True).start()
logging.basicConfig()
