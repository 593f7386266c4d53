"""Reports: every verdict, hostile names, numbers that must appear, files written whole or not at all."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from interceptor.detect.result import (
    AudioTrack,
    Coverage,
    CropScore,
    Evidence,
    FaceResult,
    Media,
    Problem,
    ScanResult,
    Sight,
    SpecialistScore,
    Timings,
    Verdict,
    Versions,
)
from interceptor.report import (
    ReportError,
    check_target,
    files,
    json_line,
    render_html,
    render_text,
    write_html,
    write_json,
)
from interceptor.report.charts import hottest_place, overlay, scale, ticks, timeline
from interceptor.report.text import VERDICT_WORDS, byte_size, clock, printable, probability_text

CARD = {
    "name": "screen-test",
    "trained_on": ["a made-up set of faces"],
    "limits": ["It sees faces only.", "Small <faces> are not scored."],
    "figures": {"crops": 123, "val": {"auc": 0.9312, "interval": [0.919, 0.942], "celeb": {"auc": 0.95}}},
}
EVIL = "<script>alert(1)</script>.mp4"


def make_face(number: int, crops: int, probability: float = 0.934) -> FaceResult:
    scores = [
        CropScore(time=0.5 + i, frame=i, box=(10, 20, 130, 140), logit=2.0 - i, probability=1 / (1 + np.exp(i - 2.0)))
        for i in range(crops)
    ]
    verdict = "forged" if probability >= 0.71 else "inconclusive" if probability > 0.22 else "authentic"
    return FaceResult(
        id=number,
        verdict=verdict,
        probability=probability,
        logit=1.25,
        first=0.5,
        last=0.5 + crops,
        frames=crops,
        size=120.0,
        crops=scores,
        reason=f"Face {number} has its reasons.",
    )


def make_evidence(crops: int) -> Evidence:
    rng = np.random.default_rng(crops)
    heat = rng.normal(0, 1, (crops, 14, 14)).astype(np.float32)
    heat += (1.5 - np.arange(crops, dtype=np.float32) - heat.mean((1, 2)))[:, None, None]  # 0.5 under each logit
    smooth = [cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (224, 224)) for _ in range(crops)]
    return Evidence(crops=np.array(smooth, np.uint8).reshape(crops, 224, 224, 3), heat=heat)


def make_result(path: str = "clip.mp4", verdict: Verdict = "forged", faces: int = 1, crops: int = 8) -> ScanResult:
    judged = verdict in ("forged", "authentic", "inconclusive")
    probability = {"forged": 0.934, "authentic": 0.087, "inconclusive": 0.512}.get(verdict)
    found = [make_face(i + 1, crops, probability or 0) for i in range(faces)] if judged else []
    media = Media(
        kind="video",
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        bit_depth=8,
        width=1280,
        height=720,
        rotation=90,
        duration=10.0,
        frames=300,
        frame_rate=29.97,
        constant_frame_rate=False,
        bit_rate=2_400_000,
        audio=[AudioTrack(codec="aac", sample_rate=48000, channels=2, duration=None)],
        size=3_120_345,
    )
    coverage = Coverage(
        frames_requested=32,
        frames_decoded=31,
        frames_with_face=30 if judged else 0,
        faces=len(found),
        faces_scored=len(found),
        crops_scored=crops * len(found),
        failures={"frame_not_decoded": 1},
    )
    return ScanResult(
        path=path,
        sha256="5f" * 32,
        verdict=verdict,
        probability=probability,
        threshold=0.71,
        authentic_threshold=0.22,
        fpr=0.05,
        reason=f"A sentence about {verdict}.",
        coverage=None if verdict == "error" else coverage,
        faces=found,
        picture=None,
        media=None if verdict == "error" else media,
        timings=None
        if verdict == "error"
        else Timings(load=0.9, decode=0.41, detect=0.5, classify=0.7, match=0, total=1.61),
        errors=[Problem(cause="truncated", message=f"{path}: the file ends early.")] if verdict == "error" else [],
        versions=Versions(interceptor="0.1.0", weights={"screen.safetensors": "ab" * 32}),
        evidence={face.id: make_evidence(crops) for face in found},
    )


class Page(HTMLParser):
    """Collects a page's tags and visible text; fails where tags do not match."""

    VOID = ("meta", "img", "br", "link", "input")
    DRAWN = ("path", "circle", "rect", "line")  # closed by themselves in SVG

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.DRAWN
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def text_of(result: ScanResult) -> str:
    console = Console(width=100, no_color=True, file=None)
    with console.capture() as captured:
        console.print(render_text(result))
    return captured.get()


@pytest.mark.parametrize("verdict", list(VERDICT_WORDS))
def test_every_verdict_is_a_whole_page(verdict: Verdict) -> None:
    result = make_result(verdict=verdict)
    page = Page(render_html(result, CARD))
    for fact in (
        VERDICT_WORDS[verdict],
        result.reason,
        "clip.mp4",
        "5f" * 32,
        "ab" * 32,
        "It sees faces only.",
        "0.9312",
    ):
        assert fact in page.text
    assert "0.919 to 0.942" in page.text
    assert "val, celeb" in page.text
    assert ("the file ends early." in page.text) == (verdict == "error")
    assert ("Stated false-alarm rate 5 %" in page.text) == (result.probability is not None)


def test_numbers_and_thresholds_appear() -> None:
    page = Page(render_html(make_result(), CARD))
    for number in ("0.934", "0.710", "0.220", "31 of 32 frames decoded, 30 with a face; 8 crops of 1 face scored."):
        assert number in page.text
    for fact in ("1280 × 720", "h264", "29.97 a second, variable", "90° clockwise", "aac", "3.12 MB", "1.61 s"):
        assert fact in page.text
    assert "1 × frame not decoded" in page.text
    assert "score +2.00 = patches +1.50, rest +0.50" in page.text
    assert "120 × 120 px in the frame" in page.text


def test_page_asks_the_network_for_nothing_and_runs_nothing() -> None:
    html = render_html(make_result(), CARD)
    page = Page(html)
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert all((link["href"] or "").startswith("#") for link in page.all("a"))
    assert not re.search(r"https?:|url\(|@import", html)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


@pytest.mark.parametrize("several", [False, True])
def test_names_are_escaped(several: bool, tmp_path: Path) -> None:
    results = [make_result(EVIL), make_result(EVIL, "error")][: 2 if several else 1]
    write_html(results, tmp_path / "report.html", {"name": EVIL, "limits": [EVIL], "figures": {EVIL: {EVIL: EVIL}}})
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "script>.mp4" in Page(html).text


@pytest.mark.parametrize("name", ["a\x1b[31mb.mp4", "photo\u202egpj.exe", "caf\udce9.mp4", "two\nlines.mp4"])
def test_control_characters_are_made_visible(name: str, tmp_path: Path) -> None:
    result = make_result(name)
    write_html([result], tmp_path / "report.html", CARD)
    escape = next(char for char in name if not char.isascii() or char < " ").encode("unicode_escape").decode()
    for written in ((tmp_path / "report.html").read_text(encoding="utf-8"), text_of(result)):
        assert escape in written
        assert name not in written
    assert json.loads(json_line(result))["path"] == name


def test_right_to_left_names_are_isolated() -> None:
    assert "<bdi>مقطع.mp4</bdi>" in render_html(make_result("مقطع.mp4"), CARD)


@pytest.mark.parametrize(("faces", "crops"), [(1, 1), (1, 2), (1, 5), (2, 0), (16, 2)])
def test_any_number_of_faces_and_crops(faces: int, crops: int) -> None:
    page = Page(render_html(make_result(faces=faces, crops=crops), CARD))
    pictures = [image for image in page.all("img") if image["alt"]]
    assert len(pictures) == faces * min(crops, 6) * 2
    assert len({image["src"] for image in pictures}) > 1 or crops == 0
    assert f"Face {faces}" in page.text
    labels = [svg["aria-label"] for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(labels) == 1 + (faces if crops > 1 else 0)


def test_a_picture_has_no_times() -> None:
    result = make_result(crops=1)
    assert result.media is not None
    result.media.kind, result.media.duration, result.media.frame_rate = "picture", None, None
    text = Page(render_html(result, CARD)).text + text_of(result)
    assert not re.search(r"\b0\.5 s|Frame rate|Sound|no sound", text)
    assert "Face 1" in text


def test_most_and_least_suspicious_are_told_apart() -> None:
    text = " ".join(Page(render_html(make_result(crops=8), CARD)).text.split())
    most, least = text.split("Least suspicious")
    assert re.findall(r"score (\S+) =", most) == ["+2.00", "+1.00", "+0.00"]
    assert re.findall(r"score (\S+) =", least) == ["−5.00", "−4.00", "−3.00"]


def test_headings_tables_and_pictures_are_named() -> None:
    page = Page(render_html(make_result(faces=2), CARD))
    assert len(page.all("h1")) == 1
    assert all("scope" in header for header in page.all("th"))
    assert all("alt" in image for image in page.all("img"))
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg["aria-label"]


def test_size_of_a_usual_report() -> None:
    assert len(render_html(make_result(crops=16), CARD)) < 600_000


def test_without_evidence_and_without_card() -> None:
    page = Page(render_html(make_result().model_copy(update={"evidence": {}}), {}))
    assert page.all("img") == []
    assert "How to read the heat maps" not in page.text
    assert "The model behind it" not in page.text
    assert "Face 1 has its reasons." in page.text


def test_evidence_that_does_not_fit_is_refused() -> None:
    result = make_result(crops=3)
    result.evidence[1] = make_evidence(2)
    with pytest.raises(ValueError, match="face 1 has 3 scores, 2 crops"):
        render_html(result, CARD)


@pytest.mark.parametrize(("row", "column", "place"), [(0, 0, "upper left"), (7, 6, "centre"), (13, 7, "lower")])
def test_overlay_tints_the_hot_patch_where_it_is(row: int, column: int, place: str) -> None:
    crop = np.full((224, 224, 3), 120, np.uint8)
    heat = np.zeros((14, 14), np.float32)
    heat[row, column], heat[5, 12] = 2.0, -2.0
    shown = overlay(crop, heat, 2.0).astype(int)
    tint = shown[..., 0] - shown[..., 2]  # red over blue
    hot, cold = np.zeros((224, 224), bool), np.zeros((224, 224), bool)
    hot[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = True
    cold[80:96, 192:208] = True
    assert tint[hot].min() > 100
    assert tint[cold].max() < -80
    assert not tint[~hot & ~cold].any()
    assert hottest_place(heat) == place


def test_hot_patch_survives_into_the_page() -> None:
    result = make_result(crops=1)
    evidence = result.evidence[1]
    evidence.crops[:] = 120
    evidence.heat[:] = 0
    evidence.heat[0, 2, 3] = 4.0
    page = Page(render_html(result, CARD))
    image = next(image for image in page.all("img") if (image["alt"] or "").startswith("Heat map"))
    assert "upper left" in str(image["alt"])
    data = base64.b64decode(str(image["src"]).split(",")[1])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int)
    tint = shown[..., 2] - shown[..., 0]
    assert tint[36:44, 52:60].min() > 80
    assert abs(tint[120:, 120:]).max() < 10


def test_charts_mark_thresholds_and_points_where_they_are() -> None:
    drawn = str(scale(0.9, 0.75, 0.25))
    assert 'cx="90.00%"' in drawn
    assert 'x1="25.00%"' in drawn
    assert 'x1="75.00%"' in drawn
    face = make_face(1, 3)
    face.crops[1].probability, face.crops[1].time = 0.5, 2.5
    drawn = str(timeline(face, 10.0, 0.75, 0.25))
    assert 'cx="25.00%" cy="84.0"' in drawn  # half of 168 pixels
    assert drawn.count("<circle") == 3
    assert drawn.count('class="threshold"') == 2
    assert 'y1="42.0"' in drawn


@given(st.floats(0.01, 1e6))
def test_ticks_are_few_and_inside(end: float) -> None:
    marks = ticks(end)
    assert marks[0] == 0
    assert 1 <= len(marks) <= 7
    assert max(marks) <= end * (1 + 1e-6)


def test_folder_of_reports(tmp_path: Path) -> None:
    paths = ["a/clip.mp4", "b/clip.mp4", "c/CLIP.mp4", "index", 'odd:?*"|.mp4', "...", "é" * 300 + ".mp4", "100%#1.mp4"]
    target = tmp_path / "reports"
    write_html((make_result(path, "no_face") for path in paths), target, CARD)
    names = sorted(path.name for path in target.iterdir())
    assert len(names) == len({name.casefold() for name in names}) == len(paths) + 1
    assert {"index.html", "clip.mp4.html", "clip.mp4-2.html", "CLIP.mp4-3.html", "index-2.html"} <= set(names)
    assert all(len(name.encode()) < 200 and not set(name) & set('<>:"/\\|?*') for name in names)
    index = Page((target / "index.html").read_text(encoding="utf-8"))
    links = [str(link["href"]) for link in index.all("a")]
    assert len(links) == len(paths)
    assert "100%25%231.mp4.html" in links
    for path in paths:
        assert (Path(path).name or path) in index.text


def test_one_page_of_several_results(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.HTML"
    write_html([make_result("a.mp4"), make_result("b.mp4", "authentic"), make_result("c.mp4", "error")], target, CARD)
    page = Page(target.read_text(encoding="utf-8"))
    assert "3 files scanned" in page.text
    anchors = {str(article["id"]) for article in page.all("article")}
    assert {str(link["href"]) for link in page.all("a")} == {f"#{anchor}" for anchor in anchors}
    assert len(anchors) == 3
    assert page.text.count("It sees faces only.") == 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    for write in (lambda: write_html([make_result()], target, CARD), lambda: write_json([make_result()], target)):
        with pytest.raises(ReportError, match=r"report\.html: cannot be written: No space left on device"):
            write()
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]


def test_a_link_keeps_pointing(tmp_path: Path) -> None:
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("old")
    link.symlink_to(real)
    write_html([make_result()], link, CARD)
    assert link.is_symlink()
    assert "Forged" in real.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["file/report.html", "file/folder", "/dev/null", "/proc/report.html", "report.pdf"])
def test_unwritable_targets_are_found_before_the_scan(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ReportError, match=re.escape(Path(name).name)):
        check_target(tmp_path / name, several=False)
    if not name.startswith("/dev") and name != "report.pdf":
        with pytest.raises(ReportError, match="cannot be written"):
            write_html([make_result(verdict="error")], tmp_path / name, CARD)
    assert sorted(tmp_path.rglob("*")) == before


def test_check_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("report.html", "deep/er/report.htm", "folder", "folder/deeper"):
        check_target(tmp_path / name, several=True)
    check_target(tmp_path / "clips.may", several=True)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_one_whatever_its_name(tmp_path: Path) -> None:
    target = tmp_path / "reports.html"
    target.mkdir()
    check_target(target, several=False)
    write_html([make_result(verdict="no_face")], target, CARD)
    assert {path.name for path in target.iterdir()} == {"clip.mp4.html", "index.html"}


def test_json(tmp_path: Path) -> None:
    one, two = make_result(), make_result("ünï.mp4", "error")
    assert "\n" not in json_line(one)
    assert "evidence" not in json.loads(json_line(one))
    write_json([one], tmp_path / "one.json")
    assert ScanResult.model_validate_json((tmp_path / "one.json").read_text()) == one.model_copy(
        update={"evidence": {}}
    )
    write_json([one, two], tmp_path / "two.json")
    assert [entry["path"] for entry in json.loads((tmp_path / "two.json").read_text())] == ["clip.mp4", "ünï.mp4"]
    write_json([], tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == []


@pytest.mark.parametrize("verdict", list(VERDICT_WORDS))
def test_terminal_text_is_plain_and_short(verdict: Verdict) -> None:
    result = make_result("dir/[bold]clip.mp4", verdict)
    text = text_of(result)
    assert text.isascii()
    assert 3 <= len(text.splitlines()) <= 12
    assert "dir/[bold]clip.mp4" in text
    assert VERDICT_WORDS[verdict].upper() in text
    assert result.reason in text
    if result.probability is not None:
        assert f"probability {result.probability:.3f}" in text
        assert "Forged from 0.710, authentic up to 0.220; stated false-alarm rate 5 %." in text
        assert "31 of 32 frames decoded" in text
    if verdict == "error":
        assert "truncated: dir/[bold]clip.mp4: the file ends early." in text


def test_terminal_text_keeps_to_the_worst_faces() -> None:
    text = text_of(make_result(faces=16, crops=1))
    assert "and 10 more" in text
    assert len(text.splitlines()) < 16


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (clock(0), "0.0 s"),
        (clock(59.96), "1:00.0"),
        (clock(63.24), "1:03.2"),
        (clock(3599.99), "1:00:00"),
        (clock(3723.9), "1:02:03"),
        (byte_size(999), "999 bytes"),
        (byte_size(3_120_345), "3.12 MB"),
        (byte_size(999_900), "1 MB"),
        (probability_text(0.00001), "<0.001"),
        (probability_text(0.99999), ">0.999"),
        (probability_text(0.0), "0.000"),
        (probability_text(1.0), "1.000"),
        (probability_text(None), "-"),
    ],
)
def test_numbers_as_text(written: str, expected: str) -> None:
    assert written == expected


@given(st.text())
def test_printable_text_can_always_be_written(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert printable(shown) == shown


def test_each_specialist_is_shown_with_what_it_saw_or_why_it_saw_nothing() -> None:
    result = make_result()
    face = result.faces[0]
    face.screen = SpecialistScore(probability=0.934, weight=1.0, reason="decides alone")
    face.specialists = {
        "ll": SpecialistScore(
            probability=0.123, weight=0.0, reason="leans authentic; <b>not</b> counted", saw="8 crops from 0 s to 9 s"
        ),
        "cm": SpecialistScore(probability=0.8, weight=0.0, reason="leans forged; not counted: it adds nothing"),
        "rr": SpecialistScore(probability=0.3, weight=0.0, reason="leans authentic; not counted: it adds nothing"),
        "av": SpecialistScore(probability=None, weight=0.0, reason="the file has no sound here"),
        "bg": SpecialistScore(probability=None, weight=0.0, reason="was not asked for"),
        "tm": SpecialistScore(probability=None, weight=0.0, reason="was not asked for"),
    }
    rng = np.random.default_rng(0)
    seen = rng.uniform(-1, 1, (3, 224, 224)).astype(np.float32)
    result.evidence[face.id].sights["ll"] = Sight(3.25, np.zeros((224, 224, 3), np.uint8), seen)
    result.evidence[face.id].sights["cm"] = Sight(3.25, np.zeros((224, 224, 3), np.uint8), seen, used=False)
    html = render_html(result, CARD)
    page = Page(html)
    text = " ".join("".join(page.text).split())
    assert text.count("had no part in it") == 1
    assert "LL low light 0.123 weight 0 %" in text
    assert "leans authentic; <b>not</b> counted" in text
    assert text.count("saw 8 crops from 0 s to 9 s") == 1
    assert "the face, 3.2 s" in text
    assert "denoising residual" in text
    assert "AV (audio-visual): the file has no sound here" in text
    assert "BG (background), TM (temporal): was not asked for" in text
    assert text.count("it adds nothing") == 1
    assert text.count("leans forged; not counted") == 1
    assert "SCREEN whole face 0.934 weight 100 %" in text
    pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), 1) for data in embedded(html)]
    assert (168, 684, 3) in [picture.shape for picture in pictures]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"ll": 0.2, "bg": 0.3}, "Specialists: 2 looked, none leans forged; not counted."),
        ({"ll": 0.2, "rr": 0.6, "tm": 0.7}, "Specialists: 3 looked, RR and TM lean forged; not counted."),
        (
            {"ll": 0.2, "av": "no sound"},
            "Specialists: 1 looked, none leans forged; not counted; AV abstains: no sound.",
        ),
        ({"ll": 0.9, "av": "a", "tm": "b"}, "Specialists: 1 looked, LL leans forged; not counted; AV and TM abstain."),
        ({"ll": 0.9, "bg": "was not asked for"}, "Specialists: 1 looked, LL leans forged; not counted."),
        ({"ll": 0.9, "bg": "x.onnx: damaged"}, "Specialists: 1 looked, LL leans forged; not counted; BG abstains."),
        ({"ll": "gone", "bg": "gone"}, "Specialists: none looked; LL and BG abstain: gone."),
        ({"ll": "was not asked for"}, None),
        ({}, None),
    ],
)
def test_terminal_text_has_a_line_on_specialists(said: dict[str, float | str], line: str | None) -> None:
    result = make_result()
    result.errors = [Problem(cause="damaged_specialist", message="x.onnx: damaged")]
    result.specialists = {
        code: SpecialistScore(probability=None, weight=0, reason=value)
        if isinstance(value, str)
        else SpecialistScore(probability=value, weight=0, reason="leans somewhere")
        for code, value in said.items()
    }
    assert "Specialists" not in text_of(result), "the fast tier has none"
    result.screen = SpecialistScore(probability=0.934, weight=1.0, reason="decides alone")
    lines = [found.strip() for found in text_of(result).splitlines() if "pecialists" in found]
    assert lines == ([] if line is None else [line])


def test_terminal_text_tells_who_counts() -> None:
    result = make_result()
    result.screen = SpecialistScore(probability=0.9, weight=0.5, reason="leans forged")
    result.specialists = {
        "ll": SpecialistScore(probability=0.9, weight=0.25, reason="leans forged"),
        "cm": SpecialistScore(probability=0.2, weight=0.0, reason="leans authentic"),
    }
    result.full = {
        "cm": SpecialistScore(probability=0.9, weight=0.25, reason="leans forged"),
        "rr": SpecialistScore(probability=None, weight=0.0, reason="is not installed"),
    }
    text = text_of(result)
    assert "Specialists: 2 looked, LL leans forged; LL counted." in text
    assert "Full specialists: 1 looked, CM leans forged; CM counted." in text


def embedded(html: str) -> list[bytes]:
    return [base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", html)]


def test_the_fast_tier_has_no_heat_map_and_shows_the_crops() -> None:
    result = make_result()
    result.evidence[1].heat = np.empty((0, 14, 14), np.float32)
    html = render_html(result, CARD)
    assert "Most suspicious" in html
    assert "Heat map" not in html
    assert "How to read the heat maps" not in html
    assert len(embedded(html)) == 1 + len(re.findall('class="single"', html)) > 2
