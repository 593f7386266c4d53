"""`interceptor scan` as a command: what goes where, exit statuses, and files of every kind side by side."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from interceptor import cli
from interceptor.console import command_line, progress_bars, training_report
from interceptor.detect import scan as scanning
from interceptor.detect.result import ScanResult
from interceptor.detect.scan import Scanner
from interceptor.report import files as report_files
from interceptor.report import html as html_report
from interceptor.report.files import ReportError
from interceptor.runtime.weights import WeightError

KEYS = {"path", "verdict", "probability", "threshold", "coverage", "faces", "media", "timings", "errors"}


@pytest.fixture
def shared(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The command uses the session's scanner; the list holds the settings that it asked for."""
    asked: list[dict[str, Any]] = []

    def give(**settings: Any) -> Scanner:
        asked.append(settings)
        return scanner

    monkeypatch.setattr(scanning, "Scanner", give)
    return asked


@pytest.fixture
def unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be loaded, let alone scanned."""
    monkeypatch.setattr(scanning, "Scanner", lambda **settings: pytest.fail("the scan has begun"))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, ["scan", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def lines(result: Result) -> list[dict[str, Any]]:
    """The JSON lines on standard output, which holds nothing else."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_line_of_json_for_each_file(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copy(media["nobody"], tmp_path / "copy.png")
    done = run(media["clip"], media["nobody"], copy, "--format", "json", "--frames", 9, "--fpr", 0.01)
    assert (done.exit_code, done.stderr) == (0, "")
    clip, nobody, again = lines(done)
    assert [clip["path"], nobody["path"]] == [str(media["clip"]), str(media["nobody"])]
    assert set(clip) >= KEYS
    assert set(clip) == set(nobody) == set(ScanResult.model_fields) - {"evidence", "picture_evidence"}
    assert isinstance(clip["probability"], float)
    assert (nobody["verdict"], nobody["probability"]) == ("no_face", None)
    own = ("path", "timings")
    assert {k: v for k, v in again.items() if k not in own} == {k: v for k, v in nobody.items() if k not in own}
    settings = {"frames": 9, "fpr": 0.01, "tier": "standard", "specialists": None, "models": None, "evidence": False}
    assert shared == [settings]


def test_text_is_not_wrapped_where_there_is_no_terminal(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / ("long " * 40 + "name.png")
    shutil.copy(media["face"], path)
    done = run(path)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == str(path)
    assert "\x1b" not in done.stdout


def test_bad_files_are_named_and_the_others_scanned(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all\n")
    clip = media["clip"].read_bytes()
    (tmp_path / "cut.mp4").write_bytes(clip[: len(clip) // 2])
    bad = ["empty.mp4", "text.mp4", "missing.mp4", "cut.mp4", "no*match.mp4"]
    paths = [media["nobody"], *(tmp_path / name for name in bad), media["face"]]
    done = run(*paths, "--format", "json")
    found = lines(done)
    assert done.exit_code == 1
    assert [line["path"] for line in found] == [str(path) for path in paths]
    assert [line["verdict"] for line in found[:-1]] == ["no_face", *["error"] * 5]
    assert found[-1]["probability"] is not None
    causes = [line["errors"][0]["cause"] for line in found[1:-1]]
    assert causes == ["empty_file", "not_media", "not_found", "truncated", "not_found"]
    for line in found[1:-1]:
        assert line["reason"] == line["errors"][0]["message"]
        assert line["reason"].startswith(f"{line['path']}: ")
    text = run(*paths)
    assert text.exit_code == 1
    assert all(text.stdout.count(line["reason"]) == 1 for line in found[1:-1])


ODD = [
    "two  spaces.png",
    "quotes ' and \".png",
    "new\nline.png",
    "-leading-dash.png",
    "[brackets]*?.png",
    "percent%20sign;&|$(x).png",
    "émoji 😀 .png",
    "right\u202eleft.png",
    os.fsdecode(b"not utf-8 \xff\xfe.png"),
]


def test_odd_characters_in_names(
    shared: list, media: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ODD:
        try:
            shutil.copy(media["nobody"], tmp_path / name)
        except (OSError, ValueError):
            pytest.skip(f"this file system takes no name such as {name!r}")
    monkeypatch.chdir(tmp_path)
    done = run("--format", "json", "--json", "out.json", "--html", "pages", "--", *ODD)
    assert done.exit_code == 0
    assert [line["path"] for line in lines(done)] == ODD
    assert {line["verdict"] for line in lines(done)} == {"no_face"}
    assert [line["path"] for line in json.loads(Path("out.json").read_text())] == ODD
    assert len(list(Path("pages").iterdir())) == len(ODD) + 1
    Path("out.json").unlink()
    shutil.rmtree("pages")
    whole = run(".", "--format", "json")
    assert sorted(line["path"] for line in lines(whole)) == sorted(ODD)
    assert len(run(".").stdout.splitlines()) == 5 * len(ODD), "a line break in a name breaks no line"


def test_a_video_whose_name_is_not_utf_8(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"clip \xff.mp4")
    try:
        shutil.copy(media["clip"], path)
    except (OSError, ValueError):
        pytest.skip("this file system takes UTF-8 names only")
    (line,) = lines(run(path, "--format", "json"))
    assert line["path"] == str(path)
    assert line["errors"] == []
    assert line["coverage"]["crops_scored"] > 0


def test_folders_and_globs(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    names = ["a/1.png", "a/deep/2.png", "b/3.png", "b/4.jpeg", "a/.hidden.png", "a/.git/5.png", "a/notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media["nobody"], tmp_path / name)

    def scanned(*paths: str) -> list[str]:
        done = run(*(tmp_path / path for path in paths), "--format", "json")
        assert done.exit_code == 0
        return [Path(line["path"]).relative_to(tmp_path).as_posix() for line in lines(done)]

    assert scanned("a") == ["a/1.png", "a/deep/2.png"]
    assert scanned("b/*.png", "a") == ["b/3.png", "a/1.png", "a/deep/2.png"]
    assert scanned("**/*.png") == ["a/1.png", "a/deep/2.png", "b/3.png"]
    assert scanned("?") == ["a/1.png", "a/deep/2.png", "b/3.png", "b/4.jpeg"]


def test_a_file_named_twice_is_scanned_once(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(media["nobody"], tmp_path / "in" / "1.png")
    (tmp_path / "in" / "link.png").symlink_to("1.png")
    done = run(tmp_path / "in", tmp_path / "in" / "1.png", tmp_path / "in" / ".." / "in" / "1.png", "--format", "json")
    assert [Path(line["path"]).name for line in lines(done)] == ["1.png", "link.png"], "a link is a name of its own"
    assert done.stderr.count("1.png: named more than once, looked at once") == 2


def test_a_folder_that_cannot_be_read(
    shared: list, media: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    shutil.copy(media["nobody"], tmp_path / "open.png")

    def guarded(real: Any) -> Any:
        def call(path: Any = ".") -> Any:
            if not isinstance(path, int) and Path(os.fsdecode(path)) == locked:
                raise PermissionError(13, "Permission denied", str(locked))
            return real(path)

        return call

    for name in ("scandir", "listdir"):  # permission bits do not stop a superuser
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    done = run(tmp_path, "--format", "json")
    assert done.exit_code == 1
    assert {line["path"]: line["verdict"] for line in lines(done)} == {
        str(tmp_path / "open.png"): "no_face",
        str(locked): "error",
    }
    (failed,) = [line for line in lines(done) if line["errors"]]
    assert failed["errors"] == [{"cause": "unreadable", "message": f"{locked}: cannot be read: Permission denied"}]


def test_results_in_files(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    one, many, page, pages = (tmp_path / name for name in ("one.json", "many.json", "page.html", "pages"))
    done = run(media["face"], "--json", one, "--html", page, "--format", "json")
    assert done.exit_code == 0
    assert json.loads(one.read_text()) == lines(done)[0]
    assert "data:image/jpeg" in page.read_text(encoding="utf-8")
    assert str(page) in done.stderr
    assert shared[0]["evidence"] is True
    done = run(media["face"], tmp_path / "missing.png", "--json", many, "--html", pages, "--format", "json")
    assert done.exit_code == 1
    assert json.loads(many.read_text()) == lines(done)
    assert {path.name for path in pages.iterdir()} == {"face.png.html", "missing.png.html", "index.html"}
    assert {path.name for path in tmp_path.iterdir()} == {"one.json", "many.json", "page.html", "pages"}


@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize("target", ["file.txt/x.html", ".", "/dev/null/x.html"])
def test_a_report_that_cannot_be_written_is_found_before_the_scan(
    option: str, target: str, unused: None, media: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "file.txt").write_text("in the way")
    if (option, target) == ("--html", "."):
        target = "report.pdf"
    done = run(media["face"], option, tmp_path / target, "--format", "json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / target}".rstrip("/."))
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_to_scan_is_never_overwritten(option: str, unused: None, tmp_path: Path) -> None:
    precious = tmp_path / "clip.html"
    precious.write_text("evidence")
    (tmp_path / "link.html").symlink_to(precious)
    done = run(precious, option, tmp_path / "link.html")
    assert done.exit_code == 2
    assert "is one of the files to scan" in done.stderr
    assert precious.read_text() == "evidence"


def test_a_report_that_fails_on_the_way_does_not_lose_the_results(
    shared: list, media: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise ReportError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(html_report, "write_atomically", full)
    paths = [shutil.copy(media["nobody"], tmp_path / f"{number}.png") for number in range(3)]
    done = run(*paths, "--html", tmp_path / "pages", "--json", tmp_path / "all.json", "--format", "json")
    assert done.exit_code == 2
    assert len(lines(done)) == len(json.loads((tmp_path / "all.json").read_text())) == 3
    assert "No space left on device" in done.stderr
    assert "report:" not in done.stderr


def test_a_report_takes_results_as_they_come(
    shared: list, scanner: Scanner, media: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[str] = []
    real = scanner.scan

    def counting(path: Path) -> ScanResult:
        scanned.append(path.name)
        return real(path)

    def write(results: Iterable[ScanResult], target: Path, card: dict) -> None:
        for number, result in enumerate(results, 1):
            assert len(scanned) == number, "a file is scanned when its page is to be written, not before"
            assert bool(result.evidence) == bool(result.faces)

    monkeypatch.setattr(scanner, "scan", counting)
    monkeypatch.setattr(html_report, "write_html", write)
    copy = shutil.copy(media["face"], tmp_path / "copy.png")
    assert run(media["face"], media["nobody"], copy, "--html", tmp_path / "pages").exit_code == 0
    assert len(scanned) == 3


def test_results_kept_for_a_file_hold_no_pictures(
    shared: list, media: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[ScanResult] = []
    monkeypatch.setattr(report_files, "write_json", lambda results, path: kept.extend(results))
    assert run(media["face"], "--html", tmp_path / "page.html", "--json", tmp_path / "x.json").exit_code == 0
    assert [(result.evidence, result.picture_evidence) for result in kept] == [({}, None)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fpr", "0.9"], "0.9"),
        (["--fpr", "0"], "no threshold is known for a rate"),
        (["--fpr", "nan"], "nan"),
        (["--fpr", "much"], "--fpr"),
        (["--frames", "0"], "--frames"),
        (["--format", "xml"], "--format"),
        (["--formt", "json"], "--formt"),
    ],
)
def test_wrong_usage_is_exit_status_2(arguments: list[str], message: str, media: dict[str, Path]) -> None:
    done = run(media["nobody"], *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_to_scan_is_exit_status_2(unused: None, tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert str(tmp_path) in done.stderr
    assert run().exit_code == 2


def test_damaged_weights_are_one_line_and_exit_status_2(
    media: dict[str, Path], weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("screen.json", "centerface.json", "centerface.onnx", "copymove.json"):
        shutil.copy(weights_folder / name, folder)
    with pytest.raises(WeightError) as caught:
        Scanner(folder=folder)
    monkeypatch.setattr(scanning, "Scanner", lambda **settings: Scanner(folder=folder))
    done = run(media["nobody"], "--json", tmp_path / "out.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"error: {caught.value}\n"
    assert not (tmp_path / "out.json").exists()


def test_results_reach_a_pipe_while_progress_is_on_a_terminal(media: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", "from interceptor.cli import main; main()", "scan", "--format", "json"]
    with open(leader, "rb", buffering=0) as terminal:  # noqa: PTH123 (a file descriptor)
        done = subprocess.run(
            [*command, media["nobody"], tmp_path / "empty.mp4"],
            stdout=subprocess.PIPE,
            stderr=follower,
            env={**os.environ, "TERM": "xterm"},
            check=False,
        )
        os.close(follower)
        shown = terminal.read(65536).decode()
    assert done.returncode == 1
    assert [json.loads(line)["verdict"] for line in done.stdout.splitlines()] == ["no_face", "error"]
    assert "scanning 'nobody.png'" in shown
    assert "no_face" not in shown


def test_training_without_a_terminal_tells_each_tenth_and_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as progress:
        report = training_report(progress)
        report("validation", 0, 900, "AUC 0.8")
        for step in range(1, 901):
            report("tuning", step, 900, "loss 0.5")
            if step % 450 == 0:
                report("validation", step, 900, "AUC 0.9")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("tuning") == 10
    assert shown.err.count("validation") == 3
    assert shown.err.splitlines()[1] == "tuning 90/900: loss 0.5"


def test_version() -> None:
    done = CliRunner().invoke(cli.app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.strip() == cli.__version__


def test_the_package_runs_as_a_module() -> None:
    run = [sys.executable, "-m", "interceptor", "--version"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == cli.__version__


def test_a_card_records_a_command_without_its_makers_folders() -> None:
    recorded = command_line(["train", "screen", "--data", "../mine/swaps", "--init", "/home/me/clip.safetensors"])
    assert recorded == "interceptor train screen --data swaps --init clip.safetensors"


def test_a_recorded_command_keeps_what_stands_before_a_path() -> None:
    recorded = command_line(
        ["--authentic", "nuclei=/home/me/nuclei", "--edited", "blots=../a/images:../a/masks", "out/"]
    )
    assert recorded == "interceptor --authentic nuclei=nuclei --edited blots=images:masks out"


def test_tier_and_specialists_reach_the_scanner(shared: list, media: dict[str, Path], tmp_path: Path) -> None:
    run(media["nobody"], "--tier", "full", "--models", tmp_path, "--specialists", "ll,cm", "--format", "json")
    assert (shared[0]["tier"], shared[0]["models"]) == ("full", tmp_path)
    assert shared[0]["specialists"] == {"ll", "cm"}
    done = run(media["nobody"], "--specialists", "xx")
    assert done.exit_code == 2
    assert "choose auto, all, none, or of ll, bg, av, cm, rr, tm" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nope"], "Choose from scan, match"),
        (["prepare", "nope"], "Choose from faces, specialists, faceforensics"),
        (["prepare", "face"], "Did you mean faces?"),
        (["calibrate", "nope"], "Choose from ensemble."),
    ],
)
def test_an_unknown_command_is_answered_with_those_there_are(words: list[str], told: str) -> None:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(cli.app, words)
    assert result.exit_code == 2
    assert f"No such command '{words[-1]}'. {told}" in result.stderr
