"""The whole chain of training in minutes: tiny sets, shards, three stages of one specialist, the file for the scan.

    python examples/train_demo.py --out demo/training [--code ll]

Prints each command before it runs it, as one would type it. Nothing can be learnt from one portrait and random
weights: this shows the way, not a detector.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

SMALL = ("fusion=tokens", "lens_size=112", "batch=4", "epochs=1", "lr=1e-3", "save_every=1000")


def interceptor(*words: object) -> None:
    """Run a command; stop where it fails."""
    text = [str(word) for word in words]
    print(f"\n$ interceptor {shlex.join(text)}", flush=True)
    subprocess.run([sys.executable, "-c", "from interceptor.cli import main; main()", *text], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo/training"))
    parser.add_argument("--code", default="ll")
    arguments = parser.parse_args()
    out, code = arguments.out, arguments.code
    small = [part for setting in SMALL for part in ("--set", setting)]

    for stage in ("faceforensics", "celebdf", "dfdc"):
        interceptor("datasets", "mini", stage, out / "videos" / stage)
        interceptor("prepare", stage, out / "videos" / stage, out / "data" / stage, "--windows", 1, "--crops", 1)
        start = ("--init", "none") if stage == "faceforensics" else ()
        place = ("--stage", stage, "--data", out / "data" / stage, "--out", out / code)
        interceptor("train", code, *place, "--backbone", "efficientnet_lite0", *start, *small)
    interceptor("export", "full", code, out / code / "dfdc", "--data", out / "data" / "dfdc", "--out", out / "full")
    print(f"\nThe pages: {', '.join(str(page) for page in sorted((out / code).glob('*/run.html')))}")


if __name__ == "__main__":
    main()
