"""A scan result as text: how numbers and names are written, and the summary for the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from interceptor.detect.result import (
    AlteredRegion,
    CopiedPair,
    Coverage,
    FaceResult,
    Media,
    ScanResult,
    SpecialistScore,
    Verdict,
)
from interceptor.detect.router import NOT_ASKED

VERDICT_WORDS: Final[dict[Verdict, str]] = {
    "forged": "Forged",
    "authentic": "Authentic",
    "inconclusive": "Inconclusive",
    "no_face": "No face found",
    "error": "Not scanned",
}

_STYLES: Final[dict[str, str]] = {
    "forged": "bold red",
    "authentic": "bold blue",
    "inconclusive": "bold yellow",
    "no_face": "bold",
    "error": "bold magenta",
}

UNMEASURED: Final = "false-alarm rate with full specialists not measured"

_FACES_SHOWN: Final = 6
_PAIRS_SHOWN: Final = 6

# Control characters can rewrite a terminal, and bidirectional overrides can disguise a file's name ("gpj.exe").
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` with control characters, direction overrides and undecodable bytes written out as escapes."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def probability_text(value: float | None) -> str:
    """Three decimals, so that a value and the threshold it was held against can be told apart; `-` for none."""
    if value is None:
        return "-"
    if 0 < value < 0.0005:
        return "<0.001"
    if 0.9995 <= value < 1:
        return ">0.999"
    return f"{value:.3f}"


def signed(value: float) -> str:
    """Two decimals with a sign; a true minus."""
    return f"{value:+.2f}".replace("-", "−")


def percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def clock(seconds: float) -> str:
    """A time or a duration: `3.2 s`, `1:03.2`, `1:02:03`."""
    tenths = round(seconds * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"{minutes}:{rest / 10:04.1f}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"


def byte_size(size: int) -> str:
    """Decimal units, as file managers show them: `512 bytes`, `3.4 MB`."""
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.3g} {unit}"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cause_text(cause: str) -> str:
    """A stable code such as `face_too_small` as words."""
    return cause.replace("_", " ")


def coverage_text(coverage: Coverage) -> str:
    """What the verdict rests on, in one sentence."""
    faces = count(coverage.faces, "face")
    scored = f"{count(coverage.crops_scored, 'crop')} of {faces} scored"
    if coverage.faces_scored != coverage.faces:
        scored = f"{count(coverage.crops_scored, 'crop')} of {coverage.faces_scored} of {faces} scored"
    frames = f"{coverage.frames_decoded} of {count(coverage.frames_requested, 'frame')} decoded"
    return f"{frames}, {coverage.frames_with_face} with a face; {scored}."


def decided_by_picture(result: ScanResult) -> bool:
    """Whether what was found in a picture, not a face, made the verdict."""
    found = result.picture
    return found is not None and (bool(found.copied) or (found.altered.counts and found.altered.verdict == "forged"))


def thresholds_text(result: ScanResult) -> str | None:
    """What a face's probability was held against, in one sentence; `None` where that did not decide."""
    if result.threshold is None or decided_by_picture(result):
        return None
    text = f"Forged from {probability_text(result.threshold)}"
    if result.authentic_threshold is not None:
        text += f", authentic up to {probability_text(result.authentic_threshold)}"
    rate = f"stated false-alarm rate {percent(result.fpr)}" if result.fpr is not None else UNMEASURED
    return f"{text}; {rate}."


def media_text(media: Media) -> str:
    """The file's picture and sound in one line."""
    facts = [f"{media.width} x {media.height} {media.codec}"]
    if media.kind != "picture":
        if media.duration is not None:
            facts.append(clock(media.duration))
        if media.frame_rate is not None:
            facts.append(f"{media.frame_rate:.4g} frames/s")
        facts.append("sound " + "+".join(track.codec for track in media.audio) if media.audio else "no sound")
    facts.append(byte_size(media.size))
    return ", ".join(facts)


def when_text(face: FaceResult, media: Media | None) -> str | None:
    """When the face was in view: `0.2 s to 9.7 s`, `at 3.1 s`; `None` in a picture, which has no time."""
    if media and media.kind == "picture":
        return None
    return f"at {clock(face.first)}" if face.first == face.last else f"{clock(face.first)} to {clock(face.last)}"


def copied_text(pair: CopiedPair) -> str:
    """Where two regions that show the same lie, and how one becomes the other."""
    sides = [f"{region.area:,} px at ({region.box[0]}, {region.box[1]})" for region in (pair.source, pair.target)]
    how = f"turned {round(pair.angle)}°, scale {pair.scale:.2f}{', mirrored' if pair.flip else ''}"
    return f"{' and '.join(sides)}: {how}; correlation {pair.correlation:.2f}, {count(pair.inliers, 'correspondence')}"


def altered_text(region: AlteredRegion) -> str:
    """Where the localizer marks something."""
    left, top = region.box[:2]
    return f"marked: {region.area:,} px at ({left}, {top}), probability {probability_text(region.probability)}"


def specialists_text(result: ScanResult) -> list[str]:
    """Of the face that decides, a line on the standard specialists and one on full ones that looked: how many, which
    lean forged, which count, and of the standard ones which abstain, with the reason where it is one.
    """
    if result.screen is None:  # the fast tier, or no face
        return []
    asked = {code: part for code, part in result.specialists.items() if part.reason != NOT_ASKED}
    named = {problem.message for problem in result.errors}
    why = {part.reason: None for part in asked.values() if part.probability is None and part.reason not in named}
    silent = [code for code, part in asked.items() if part.probability is None]
    on = ", on the face that decides" if len(result.faces) > 1 else ""
    lines = [f"Specialists{on}: {_looked(asked)}"] if asked else []
    if silent:
        lines[0] += f"; {_listed(silent)} {'abstains' if len(silent) == 1 else 'abstain'}"
        lines[0] += f": {next(iter(why))}" if len(why) == 1 else ""
    if any(part.probability is not None for part in result.full.values()):
        lines.append(f"Full specialists{on}: {_looked(result.full)}")
    return [f"{line}." for line in lines]


def _looked(parts: Mapping[str, SpecialistScore]) -> str:
    """`4 looked, RR and TM lean forged; not counted`."""
    scores = {code: part.probability for code, part in parts.items() if part.probability is not None}
    if not scores:
        return "none looked"
    forged = [code for code, probability in scores.items() if probability >= 0.5]
    counted = [code for code in scores if parts[code].weight > 0]
    lean = f"{_listed(forged)} {'leans' if len(forged) == 1 else 'lean'} forged" if forged else "none leans forged"
    return f"{len(scores)} looked, {lean}; {f'{_listed(counted)} counted' if counted else 'not counted'}"


def _listed(codes: Sequence[str]) -> str:
    """`LL`, `LL and RR`, `LL, RR and TM`."""
    *most, last = (code.upper() for code in codes)
    return f"{', '.join(most)} and {last}" if most else last


def worst_first(faces: list[FaceResult]) -> list[FaceResult]:
    """Faces by falling probability; those without one last."""
    return sorted(faces, key=lambda face: -1.0 if face.probability is None else face.probability, reverse=True)


def render_text(result: ScanResult) -> Group:
    """The result in about twelve lines for a Rich console: colours, no drawing characters, so it is plain in a pipe."""
    head = Text(VERDICT_WORDS[result.verdict].upper(), style=_STYLES[result.verdict])
    if result.probability is not None:
        head.append(f"  probability {probability_text(result.probability)}", style="bold")
    lines: list[Text | Table] = [head, Text(printable(result.reason))]
    thresholds = thresholds_text(result)
    if result.probability is not None and thresholds:
        lines.append(Text(thresholds))
    if result.faces:
        lines.append(_face_table(result.faces, result.media))
    if result.picture:
        lines += [Text(copied_text(pair)) for pair in result.picture.copied[:_PAIRS_SHOWN]]
        if result.picture.altered.counts:  # else the sentence above says how many, and the report shows them
            lines += [Text(altered_text(region)) for region in result.picture.altered.regions[:_PAIRS_SHOWN]]
    if result.coverage:
        lines.append(Text(coverage_text(result.coverage)))
        lines += [Text(printable(line)) for line in specialists_text(result)]
        lines += [
            Text(f"{number} x {cause_text(cause)}", style="yellow")
            for cause, number in result.coverage.failures.items()
        ]
    # Where there is no verdict the reason is often the error's own message: once is enough.
    lines += [
        Text(f"{problem.cause}: {printable(problem.message)}", style="magenta")
        for problem in result.errors
        if problem.message != result.reason
    ]
    footer = [media_text(result.media)] if result.media else []
    if result.timings:
        footer.append(f"scanned in {clock(result.timings.total)}")
    if footer:
        lines.append(Text(printable("; ".join(footer)), style="dim"))
    path = Text(printable(result.path), style="bold underline", overflow="fold")
    return Group(path, *(Padding(line, (0, 0, 0, 2), expand=False) for line in lines))


def _face_table(faces: list[FaceResult], media: Media | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for face in worst_first(faces)[:_FACES_SHOWN]:
        table.add_row(
            f"face {face.id}",
            Text(face.verdict, style=_STYLES[face.verdict]),
            probability_text(face.probability),
            when_text(face, media) or "",
            count(len(face.crops), "crop"),
            f"{face.size:.0f} px",
        )
    if len(faces) > _FACES_SHOWN:
        table.add_row("", f"and {len(faces) - _FACES_SHOWN} more")
    return table
