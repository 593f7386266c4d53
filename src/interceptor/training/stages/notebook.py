"""In a notebook: a link to download a file from the machine that the kernel runs on."""

from __future__ import annotations

import sys
from pathlib import Path


def offer_download(file: Path) -> bool:
    """Show a link to `file` under the running cell; whether there was a notebook to show it in."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if type(shell).__name__ not in ("ZMQInteractiveShell", "Shell"):  # Jupyter and Kaggle; Colab
        return False
    from IPython.display import FileLink, display

    display(FileLink(str(file)))
    return True
