"""The one error of the reading floor."""

from __future__ import annotations

import os


class MediaError(Exception):
    """A file that cannot be read, and why.

    `cause` is a short stable code: `not_found`, `unreadable` (no permission, a folder, a device), `empty_file`,
    `not_media` (for example text named .mp4), `truncated` (cut short, such as an MP4 without its index), `no_video`
    (sound only), `too_large` (a picture above the pixel limit), `no_pixels` (0 x 0) or `undecodable`.
    `message` is a sentence that says what is wrong and, where it can, what to do.
    """

    def __init__(self, path: str | os.PathLike[str], cause: str, message: str) -> None:
        super().__init__(path, cause, message)
        self.path = path
        self.cause = cause
        self.message = message

    def __str__(self) -> str:
        return f"{os.fspath(self.path)}: {self.message}"
