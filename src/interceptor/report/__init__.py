"""A scan result for people: HTML pages, JSON files, text for the terminal."""

from __future__ import annotations

from interceptor.report.files import ReportError, check_file, check_target, json_line, write_json
from interceptor.report.html import render_html, write_html
from interceptor.report.text import render_text

__all__ = [
    "ReportError",
    "check_file",
    "check_target",
    "json_line",
    "render_html",
    "render_text",
    "write_html",
    "write_json",
]
