"""Optical character recognition of the scanned pages of a PDF, by Tesseract where that is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence

from index.errors import SourceError

MOST_PAGES = 500
_SECONDS = 120.0


def recognised(pages: Sequence[int], picture: Callable[[int], bytes], languages: str) -> dict[int, list[str]]:
    """The lines of text on pages, by their number; a page without any is left out.

    picture: makes the image of a page, in a format that Leptonica reads; languages: as Tesseract names them,
    such as `eng+deu`. Raises SourceError where Tesseract is not installed, or lacks a language.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise SourceError("OCR is asked for and Tesseract is not installed; install it, or unset ocr")
    found = {}
    for page in pages[:MOST_PAGES]:
        try:
            child = subprocess.run(
                [program, "stdin", "stdout", "-l", languages, "--dpi", "200"],
                input=picture(page),
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            continue
        said = child.stderr.decode(errors="replace").strip()
        if child.returncode and "load" in said:
            raise SourceError(
                f"cannot be read by Tesseract ({said.splitlines()[-1]}); set ocr to a language it has"
            )
        lines = [line.strip() for line in child.stdout.decode(errors="replace").replace("\f", "").split("\n")]
        if any(lines):
            found[page] = lines
    return found
