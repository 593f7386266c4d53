"""`interceptor ...`: parse, call, print. A file for each family of commands, assembled here."""

from __future__ import annotations

from typing import Annotated

import typer

from interceptor import __version__
app.add_typer(masks.check, name="check")
