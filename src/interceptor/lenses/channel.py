"""What a lens says about each of its three channels, for the pictures that people look at."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["grey", "signed", "amount", "red", "green", "blue"]


class Channel(NamedTuple):
    name: str
    kind: Kind
    """`grey`: a brightness. `signed`: 0 is nothing, both signs mean something. `amount`: -1 is nothing. Else a
    colour."""
