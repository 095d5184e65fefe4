"""The child process that opens one PDF: `python pdf_worker.py MEMORY SECONDS CHARACTERS < FILE > JSON`.

It limits its own memory (bytes) and processor time (seconds) before it looks at the file, and imports
nothing of this package, so that it starts fast and a hostile file meets as little as possible.
Prints {"error": "password" | "broken" | "memory" | "long"} or
{"metadata": {…}, "pages": [[[text, size, bold, left, top, right], …], …]}: each page as lines in reading
order, sizes and places in points, the top of the page being 0.
"""

from __future__ import annotations

import ctypes
import json
import math
import re
import sys
from typing import Any

import pypdfium2
from pypdfium2 import raw

HYPHEN = "\ufffe"
"""What stands for the hyphen of a word broken at the end of a line; the rest of the word follows at once."""

_CHARACTERS = {**dict.fromkeys({*range(32), 0xFFFF} - {9, 10, 13}, "\0"), 2: HYPHEN, 0xAD: "-"}
_LINE = re.compile(f"[^\r\n{HYPHEN}]*[\r\n{HYPHEN}]*")
_BOLD = re.compile(rb"bold|black|heavy|CMBX|SFBX", re.IGNORECASE)

Line = tuple[str, float, bool, float, float, float]


def main() -> None:
    """Reads the PDF on standard input."""
    memory, seconds, characters = map(int, sys.argv[1:])
    confine(memory, seconds)
    try:
        answer = extract(sys.stdin.buffer.read(), characters)
    except pypdfium2.PdfiumError as error:
        answer = {"error": "password" if error.err_code == raw.FPDF_ERR_PASSWORD else "broken"}
    except MemoryError:
        answer = {"error": "memory"}
    json.dump(answer, sys.stdout)


def extract(body: bytes, characters: int) -> dict[str, Any]:
    """The metadata and the lines of a PDF of at most so many characters."""
    pages = []
    with pypdfium2.PdfDocument(body) as pdf:
        for page in pdf:
            pages.append(lines_of(page))
            characters -= sum(len(line[0]) for line in pages[-1])
            if characters < 0:
                return {"error": "long"}
        return {"metadata": metadata_of(pdf), "pages": pages}


def metadata_of(pdf: pypdfium2.PdfDocument) -> dict[str, str]:
    """What a PDF says about itself; nothing when that is garbled."""
    try:
        return dict(pdf.get_metadata_dict())
    except UnicodeDecodeError:
        return {}


def confine(memory: int, seconds: int) -> None:
    """Limits this process where the system can."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def lines_of(page: pypdfium2.PdfPage) -> list[Line]:
    """The lines of a page with words on them, each with its font and its place."""
    textpage = page.get_textpage()
    height = page.get_height()
    text = "".join(map(chr, (raw.FPDFText_GetUnicode(textpage, i) for i in range(textpage.count_chars()))))
    lines = []
    for match in _LINE.finditer(text.translate(_CHARACTERS)):
        line = match[0].strip("\r\n")
        marks = [match.start() + i for i, char in enumerate(line) if not char.isspace() and char != "\0"]
        if marks:
            whole = line.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            lines.append(_line(textpage, whole.rstrip(), marks, height))
    textpage.close()
    page.close()
    return lines


def _line(textpage: pypdfium2.PdfTextPage, text: str, marks: list[int], height: float) -> Line:
    first, last = marks[0], marks[-1]
    left, _, _, top = textpage.get_charbox(first, loose=True)
    right = textpage.get_charbox(last, loose=True)[2]
    middle = marks[len(marks) // 2]
    size = raw.FPDFText_GetFontSize(textpage, middle) * _scale(textpage, middle)
    bold = all(_bold(textpage, mark) for mark in (first, middle, last))
    return text, round(size, 1), bold, round(left, 1), round(height - top, 1), round(right, 1)


def _scale(textpage: pypdfium2.PdfTextPage, mark: int) -> float:
    """How much the page enlarges a mark: some writers set size 1 and scale by the matrix."""
    matrix = raw.FS_MATRIX()
    raw.FPDFText_GetMatrix(textpage, mark, matrix)
    return math.hypot(matrix.c, matrix.d) or 1.0


def _bold(textpage: pypdfium2.PdfTextPage, mark: int) -> bool:
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, mark, name, 128, flags)
    return raw.FPDFText_GetFontWeight(textpage, mark) >= 600 or bool(_BOLD.search(name.value))


if __name__ == "__main__":
    main()
