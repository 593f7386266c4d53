"""A command of commands that knows what to say to a name that it does not have."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from typer.core import TyperGroup


class Group(TyperGroup):
    """Names the commands there are: those that look like what was typed, else all of them."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, names = args[0], self.list_commands(ctx)
        if name not in names and not name.startswith("-"):
            near = get_close_matches(name, names)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Choose from {', '.join(names)}."
            ctx.fail(f"No such command {name!r}. {hint}")
        return super().resolve_command(ctx, args)
