"""A scan result as one self-contained HTML page, and pages for many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from interceptor import __version__
from interceptor.detect.result import CropScore, Evidence, FaceResult, Media, ScanResult
from interceptor.report import charts, members, text
from interceptor.report.evidence import beside, beside_overlay
from interceptor.report.files import ReportError, is_page, page_name, write_atomically
from interceptor.report.localization import overlay
from interceptor.report.matches import draw_matches

_CROPS_SHOWN: Final = 3
_LONGEST: Final = 900
"""Longest side, in pixels, of a picture shown whole."""
_FACES_OPEN: Final = 3
"""Faces whose evidence is unfolded when the page opens, the worst first."""


@dataclass
class CropView:
    score: CropScore
    plain: str
    heat: str | None = None
    """None of networks that have no shares to show"""
    hottest: str = ""
    patches: float = 0.0
    """Mean of the patches' shares; `rest` added gives the crop's logit."""

    @property
    def rest(self) -> float:
        return self.score.logit - self.patches


@dataclass
class FaceView:
    face: FaceResult
    when: str | None
    timeline: Markup | None
    thumbnail: str | None
    most: list[CropView]
    least: list[CropView]
    open: bool
    members: list[members.MemberView]
    silent: list[tuple[str, str]]
    """(who, why) of specialists that gave no score"""
    uncounted: list[str]


@dataclass
class MapView:
    """One map of classical evidence; `picture` is missing where it has no place or abstained."""

    title: str
    caption: str
    limits: str
    picture: str | None


@dataclass
class PictureView:
    """What was found in a still picture beside faces."""

    reason: str
    pairs: list[str]
    drawing: str | None
    altered: str | None
    """The localizer's map, and beside it the picture with what it marks."""
    maps: list[MapView]


@dataclass
class ResultView:
    """All that the template needs about one result: pictures are encoded, arrays are gone."""

    result: ScanResult
    anchor: str
    scale: Markup | None
    faces: list[FaceView]
    picture: PictureView | None
    heat_limit: float | None
    media: list[tuple[str, str]]


@dataclass
class FigureTable:
    """Figures of a card: rows that begin with their name, under a `head` where they have several columns."""

    title: str
    head: list[str]
    rows: list[list[str]]


@dataclass
class Row:
    """A line of the overview of many files."""

    result: ScanResult
    link: str


def render_html(result: ScanResult, card: Mapping[str, Any]) -> str:
    """The report of one file: one HTML page that asks the network for nothing.

    `card` is the model card; of its `name`, `trained_on` (sentences), `limits` (sentences) and `figures` (nested, by
    name) each missing one leaves its section out. Raises `ValueError` where a face's evidence does not fit its crops.
    """
    return _page([_view(result, "file")], [], card)


def write_html(results: Iterable[ScanResult], target: Path, card: Mapping[str, Any]) -> None:
    """Write the report of all results to `target`.

    A target ending in `.html` or `.htm` that is no folder becomes one page: of several results, an overview and then
    each in turn. Any other target is a folder (made if missing): a page for each result, and `index.html` over them.
    Results are taken one by one, so a generator of them needs the memory of one result's pictures only.
    Raises `ReportError`.
    """
    if is_page(target):
        views = [_view(result, f"file{number}") for number, result in enumerate(results, 1)]
        rows = [Row(view.result, f"#{view.anchor}") for view in views] if len(views) != 1 else []
        write_atomically(target, _page(views, rows, card))
        return
    if target.exists() and not target.is_dir():
        raise ReportError(f"{text.printable(str(target))}: is neither an .html file nor a folder")
    taken = {"index.html"}
    rows = []
    for result in results:
        name = page_name(result.path, taken)
        write_atomically(target / name, render_html(result, card))
        rows.append(Row(_without_evidence(result), quote(name)))
    write_atomically(target / "index.html", _page([], rows, card))


def _page(views: list[ResultView], rows: list[Row], card: Mapping[str, Any]) -> str:
    return _template().render(
        views=views,
        rows=rows,
        one=len(views) == 1 and not rows,
        card={key: card.get(key) for key in ("name", "trained_on", "limits")},
        figures=_figures(card.get("figures") or {}),
        legend=Markup(charts.legend_css()),
        written=datetime.now(UTC),
        version=__version__,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("interceptor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Markup is ours; every other string may carry whatever a file name carries.
        finalize=lambda value: text.printable(value) if type(value) is str else value,
    )
    environment.filters.update(
        probability=text.probability_text,
        percent=text.percent,
        altered=text.altered_text,
        clock=text.clock,
        cause=text.cause_text,
        coverage=text.coverage_text,
        counted=text.count,
        signed=text.signed,
        file_name=lambda path: Path(path).name or path,
    )
    environment.globals["verdict_words"] = text.VERDICT_WORDS
    return environment.get_template("report.html.j2")


def _view(result: ScanResult, anchor: str) -> ResultView:
    heats = [evidence.heat for evidence in result.evidence.values() if evidence.heat.size]
    limit = charts.heat_limit(heats) if heats else None
    by_picture = text.decided_by_picture(result)
    return ResultView(
        result=_without_evidence(result),
        anchor=anchor,
        scale=charts.scale(result.probability, result.threshold, result.authentic_threshold)
        if result.probability is not None and not by_picture  # not what such a picture was judged by
        else None,
        faces=[
            _face_view(face, result, limit, rank < _FACES_OPEN)
            for rank, face in enumerate(text.worst_first(result.faces))
        ],
        picture=_picture_view(result) if result.picture else None,
        heat_limit=limit,
        media=_media_facts(result.media) if result.media else [],
    )


def _picture_view(result: ScanResult) -> PictureView:
    assert result.picture is not None
    evidence, maps = result.picture_evidence, []
    drawing = altered = None
    if evidence is not None:
        marked = overlay(evidence.seen, evidence.localization)
        altered = charts.jpeg_whole(beside(evidence.localization.probability_map, marked), 2 * _LONGEST)
        if evidence.matches:
            drawing = charts.jpeg_whole(draw_matches([evidence.rgb], evidence.matches), _LONGEST)
        for found in evidence.maps:
            values = found.values
            picture = None if values is None else charts.jpeg_whole(beside_overlay(evidence.rgb, values), 2 * _LONGEST)
            title = found.name.replace("_", " ").capitalize()
            maps.append(MapView(title, found.caption, found.limits, picture))
    pairs = [text.copied_text(pair) for pair in result.picture.copied]
    return PictureView(result.picture.reason, pairs, drawing, altered, maps)


def _face_view(face: FaceResult, result: ScanResult, limit: float | None, unfold: bool) -> FaceView:
    moving = len({crop.time for crop in face.crops}) > 1
    duration = result.media.duration if result.media else None
    evidence = result.evidence.get(face.id)
    view = FaceView(
        face=face,
        when=text.when_text(face, result.media),
        timeline=charts.timeline(face, duration, result.threshold, result.authentic_threshold) if moving else None,
        thumbnail=None,
        most=[],
        least=[],
        open=unfold,
        members=members.speaking(face, evidence.sights if evidence else {}),
        silent=members.silent(face),
        uncounted=members.uncounted(face),
    )
    if evidence is not None and len(evidence.crops):
        view.thumbnail = charts.jpeg(evidence.crops[len(evidence.crops) // 2], side=96, quality=80)
    if evidence is None or not face.crops:
        return view
    if len(evidence.crops) != len(face.crops) or (limit is not None and len(evidence.heat) != len(face.crops)):
        raise ValueError(
            f"{result.path}: face {face.id} has {len(face.crops)} scores, {len(evidence.crops)} crops "
            f"and {len(evidence.heat)} heat maps; they must be as many"
        )
    most, least = _extremes([crop.logit for crop in face.crops])
    view.most = [_crop_view(face.crops[i], evidence, i, limit) for i in most]
    view.least = [_crop_view(face.crops[i], evidence, i, limit) for i in least]
    return view


def _extremes(logits: list[float]) -> tuple[list[int], list[int]]:
    """Indices of the highest and of the lowest scores, the most extreme first; none is in both."""
    falling = sorted(range(len(logits)), key=lambda i: -logits[i])
    half = (len(falling) + 1) // 2
    most, rest = falling[: min(_CROPS_SHOWN, half)], falling[half:]
    return most, rest[::-1][:_CROPS_SHOWN]


def _crop_view(score: CropScore, evidence: Evidence, index: int, limit: float | None) -> CropView:
    crop = evidence.crops[index]
    if limit is None:
        return CropView(score, charts.jpeg(crop))
    heat = evidence.heat[index]
    return CropView(
        score=score,
        plain=charts.jpeg(crop),
        heat=charts.jpeg(charts.overlay(crop, heat, limit)),
        hottest=charts.hottest_place(heat),
        patches=float(np.mean(heat, dtype=np.float64)),
    )


def _without_evidence(result: ScanResult) -> ScanResult:
    return result.model_copy(update={"evidence": {}, "picture_evidence": None})


def _media_facts(media: Media) -> list[tuple[str, str]]:
    facts = [
        ("Kind", media.kind),
        ("Container", media.container),
        ("Codec", media.codec),
        ("Pixels", f"{media.width} × {media.height}, {media.pixel_format}, {media.bit_depth} bits a channel"),
    ]
    if media.rotation:
        facts.append(("Rotation", f"{media.rotation}° clockwise for display"))
    if media.duration is not None:
        facts.append(("Duration", text.clock(media.duration)))
    if media.frames is not None and media.kind != "picture":
        facts.append(("Frames", f"{media.frames:,}"))
    if media.frame_rate is not None:
        kind = {True: ", constant", False: ", variable", None: ""}[media.constant_frame_rate]
        facts.append(("Frame rate", f"{media.frame_rate:.5g} a second{kind}"))
    if media.bit_rate is not None:
        facts.append(("Bit rate", f"{media.bit_rate / 1000:,.0f} kbit/s"))
    if media.kind == "video":
        tracks = [f"{t.codec}, {t.sample_rate} Hz, {text.count(t.channels, 'channel')}" for t in media.audio]
        facts.append(("Sound", "; ".join(tracks) or "none"))
    facts.append(("Size", text.byte_size(media.size)))
    return facts


def _figures(figures: Mapping[str, Any], title: str = "") -> list[FigureTable]:
    """A card's nested figures as tables: mappings of like mappings become one with a column for each key."""
    groups = {name: value for name, value in figures.items() if isinstance(value, Mapping)}
    columns = {tuple(group) for group in groups.values()}
    like = len(groups) == len(figures) > 1 and len(columns) == 1
    if like and not any(isinstance(value, Mapping) for group in groups.values() for value in group.values()):
        rows = [[name, *(_figure(value) for value in group.values())] for name, group in groups.items()]
        return [FigureTable(title, ["", *columns.pop()], rows)]
    alone = [[name, _figure(value)] for name, value in figures.items() if name not in groups]
    tables = [FigureTable(title, [], alone)] if alone else []
    for name, group in groups.items():
        tables += _figures(group, f"{title}, {name}" if title else name)
    return tables


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        numbers = [_figure(item) for item in value]
        return " to ".join(numbers) if len(numbers) == 2 else ", ".join(numbers)
    return "-" if value is None else str(value)
