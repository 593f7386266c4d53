"""Content credentials (C2PA): is there a manifest, does it hold, and who signed it?

https://spec.c2pa.org: manifests lie in JUMBF boxes, in JPEGs within APP11 segments, in PNGs in a `caBX` chunk.
"""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path

LABEL = b"c2pa"


def carries_manifest(path: Path) -> bool:
    """Whether a JPEG or PNG holds a JUMBF box with the label of C2PA. Other formats are searched for the box as
    bytes."""
    data = path.read_bytes()
    if data.startswith(b"\xff\xd8"):
        return any(marker == 0xEB and b"jumb" in body and LABEL in body for marker, body in _jpeg_segments(data))
    if data.startswith(b"\x89PNG"):
        return any(kind == b"caBX" and LABEL in body for kind, body in _png_chunks(data))
    at = data.find(b"jumb")
    return at >= 0 and LABEL in data[at : at + 200]


def describe_credentials(path: Path) -> tuple[list[str], dict[str, float]]:
    """Sentences about the manifest, and the measures `c2pa` (present) and `c2pa_valid` (where it could be checked)."""
    if not carries_manifest(path):
        return ["The file carries no content credentials (C2PA)."], {"c2pa": 0.0}
    if importlib.util.find_spec("c2pa") is None:
        said = "The file carries content credentials (C2PA); checking them needs: pip install 'interceptor[c2pa]'."
        return [said], {"c2pa": 1.0}
    state, signer, maker = read_manifest(path)
    who = f" Signed by {signer}" if signer else " Signer unknown"
    made = f", made with {maker}." if maker else "."
    meaning = {
        "Trusted": "they are intact and their signer is on the list of trusted ones.",
        "Valid": "they are intact; whether their signer can be trusted was not checked.",
    }.get(state, "they are broken, or the picture was changed after signing.")
    valid = float(state in ("Valid", "Trusted"))
    return [f"The file carries content credentials (C2PA): {meaning}{who}{made}"], {"c2pa": 1.0, "c2pa_valid": valid}


def read_manifest(path: Path) -> tuple[str, str, str]:
    """(validation state, signer, program that made the claim), the last two empty where not told. Needs c2pa-python."""
    import c2pa

    try:
        with c2pa.Reader(str(path)) as reader:
            report = json.loads(reader.json())
    except c2pa.C2paError:  # a manifest that cannot be parsed is not intact
        return "Invalid", "", ""
    active = report.get("manifests", {}).get(report.get("active_manifest", ""), {})
    signature = active.get("signature_info", {})
    signer = signature.get("issuer") or signature.get("common_name") or ""
    generators = active.get("claim_generator_info") or [{}]
    return report.get("validation_state", "Invalid"), signer, generators[0].get("name", "")


def _jpeg_segments(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = struct.unpack_from(">H", data, at + 2)[0]
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found
