"""The child that opens one PDF: `python pdf_worker.py MEMORY SECONDS CHARACTERS [PAGE] < FILE > JSON`.

It limits its own memory (bytes) and processor time (seconds) before it looks at the file, and imports
nothing of this package, so that it starts fast and a hostile file meets as little as possible.
Prints {"error": "password" | "broken" | "memory" | "long"} or {"metadata": {…}, "pages": [page, …]}, where a
page is {"runs": [[text, size, bold, left, base, right], …], "turned": runs, "height", "pictures", "drawn",
"unmapped"}.

A run is text of one size on one baseline without a gap, in the order of the page's content. Sizes and
places are in points, as the text stands upright: base is the distance of its baseline from the top. turned
holds the runs in another direction than most of the page, height is of the page as it is read. pictures
is the share of the page under images, drawn whether there is anything on it, unmapped how many characters
have no Unicode value. With PAGE, counted from 1, it writes the picture of that page instead, as PGM.
"""

from __future__ import annotations

import ctypes
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2
from pypdfium2 import raw

_GAP = 0.3
"""White space that ends a run, in font sizes: wide enough for something raised to stand in it."""

_SPACE, _STEP, _BACK = 0.22, 0.04, 0.5
"""Gap that parts words, shift of the baseline that ends a run, and overlap that does, in font sizes."""

_DOTS, _MOST_DOTS = 200, 40_000_000
_BOLD = re.compile(rb"bold|black|heavy|CMBX|SFBX", re.IGNORECASE)
_PRIVATE = range(0xE000, 0xF900)

Run = tuple[str, float, bool, float, float, float]


class _Glyph(NamedTuple):
    """A visible character: its place and size, and whether white space stands before it."""

    char: str
    size: float
    bold: bool
    left: float
    base: float
    right: float
    spaced: bool


def main() -> None:
    """Reads the PDF on standard input."""
    memory, seconds, characters, *pages = map(int, sys.argv[1:])
    confine(memory, seconds)
    if pages:
        sys.stdout.buffer.write(picture(sys.stdin.buffer.read(), pages[0]))
        return
    try:
        answer = extract(sys.stdin.buffer.read(), characters)
    except pypdfium2.PdfiumError as error:
        answer = {"error": "password" if error.err_code == raw.FPDF_ERR_PASSWORD else "broken"}
    except MemoryError:
        answer = {"error": "memory"}
    json.dump(answer, sys.stdout)


def extract(body: bytes, characters: int) -> dict[str, Any]:
    """The metadata and the pages of a PDF of at most so many characters."""
    pages = []
    with pypdfium2.PdfDocument(body) as pdf:
        for page in pdf:
            pages.append(page_of(page))
            characters -= sum(len(run[0]) for run in pages[-1]["runs"])
            if characters < 0:
                return {"error": "long"}
        return {"metadata": metadata_of(pdf), "pages": pages}


def picture(body: bytes, number: int) -> bytes:
    """A page in shades of grey, at 200 dots per inch or as many as its size allows."""
    with pypdfium2.PdfDocument(body) as pdf:
        page = pdf[number - 1]
        width, height = page.get_size()
        scale = min(_DOTS / 72, math.sqrt(_MOST_DOTS / max(width * height, 1.0)))
        bitmap = page.render(scale=scale, grayscale=True)
        rows = memoryview(bytes(bitmap.buffer))
        starts = range(0, bitmap.height * bitmap.stride, bitmap.stride)
        head = b"P5 %d %d 255\n" % (bitmap.width, bitmap.height)
        return head + b"".join(rows[start : start + bitmap.width] for start in starts)


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


def page_of(page: pypdfium2.PdfPage) -> dict[str, Any]:
    """What stands on a page."""
    sides = page.get_cropbox()
    area = max((sides[2] - sides[0]) * (sides[3] - sides[1]), 1.0)
    pictures = 0.0
    drawn = False
    for item in page.get_objects(max_depth=3):
        drawn = True
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            pictures += max(right - left, 0.0) * max(top - bottom, 0.0) / area
    textpage = page.get_textpage()
    found = _Characters(textpage, sides)
    runs, *turned = [list(runs_of(glyphs)) for glyphs in found.turns()] or [[]]
    textpage.close()
    page.close()
    return {
        "runs": runs,
        "turned": [run for one in turned for run in one],
        "height": round(found.height, 1),
        "pictures": round(min(pictures, 1.0), 2),
        "drawn": drawn,
        "unmapped": found.unmapped,
    }


class _Characters:
    """The visible characters of a page, upright."""

    def __init__(self, textpage: pypdfium2.PdfTextPage, sides: tuple[float, float, float, float]) -> None:
        self._page = textpage
        self._sides = sides
        self._styles: dict[int, tuple[float, bool, int]] = {}
        self.unmapped = 0
        self._seen = list(self._visible())
        usual = Counter(turn for turn, _ in self._seen).most_common(1)
        self._usual = usual[0][0] if usual else 0
        left, bottom, right, top = sides
        self.height = right - left if self._usual % 2 else top - bottom

    def turns(self) -> Iterator[list[_Glyph]]:
        """The characters by their direction, in quarter turns; those of the page's own first."""
        for turn in sorted({turn for turn, _ in self._seen}, key=lambda turn: (turn != self._usual, turn)):
            yield [glyph for own, glyph in self._seen if own == turn]

    def _visible(self) -> Iterator[tuple[int, _Glyph]]:
        page = self._page
        box, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
        spaced = False
        for at in range(page.count_chars()):
            code = raw.FPDFText_GetUnicode(page, at)
            char = _char(code)
            if char.isspace():
                spaced = spaced or char not in "\r\n"
                continue
            owner = raw.FPDFText_GetTextObject(page, at)
            if not char or not owner:
                self.unmapped += not char
                continue
            size, bold, turn = self._style(at, owner)
            raw.FPDFText_GetLooseCharBox(page, at, box)
            raw.FPDFText_GetCharOrigin(page, at, x, y)
            self.unmapped += code in _PRIVATE or raw.FPDFText_HasUnicodeMapError(page, at) == 1
            left, base, right = _upright(turn, box, x.value, y.value, self._sides)
            yield turn, _Glyph(char, size, bold, left, base, right, spaced)
            spaced = False

    def _style(self, at: int, owner: Any) -> tuple[float, bool, int]:
        """Size, weight and direction (quarter turns) of the characters of one text object."""
        key = ctypes.addressof(owner.contents)
        if key not in self._styles:
            matrix = raw.FS_MATRIX()
            raw.FPDFText_GetMatrix(self._page, at, matrix)
            scale = math.hypot(matrix.c, matrix.d) or 1.0
            turn = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
            size = raw.FPDFText_GetFontSize(self._page, at) * scale
            self._styles[key] = (round(size, 1) or 1.0, _bold(self._page, at), turn)
        return self._styles[key]


def _char(code: int) -> str:
    """A character as text: hyphens at the end of a line are hyphens, what has no value is nothing."""
    if code in (2, 0xAD):
        return "-"
    if (code < 32 and code not in (9, 10, 13)) or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
        return ""
    return chr(code)


def _upright(
    turn: int, box: Any, x: float, y: float, sides: tuple[float, float, float, float]
) -> tuple[float, float, float]:
    """Left, baseline and right of a character on the page when it is turned so that its text is upright."""
    left, bottom, right, top = sides
    if turn == 0:
        return box.left - left, top - y, box.right - left
    if turn == 1:
        return box.bottom - bottom, x - left, box.top - bottom
    if turn == 2:
        return right - box.right, y - bottom, right - box.left
    return top - box.top, right - x, top - box.bottom


def runs_of(glyphs: list[_Glyph]) -> Iterator[Run]:
    """Runs of neighbouring characters."""
    first = 0
    for at in range(1, len(glyphs) + 1):
        if at == len(glyphs) or _ends(glyphs[at - 1], glyphs[at]):
            yield _run(glyphs[first:at])
            first = at


def _ends(before: _Glyph, glyph: _Glyph) -> bool:
    """Whether a run ends between two characters."""
    size = max(before.size, glyph.size)
    gap = glyph.left - before.right
    if (glyph.left, glyph.right, glyph.base) == (before.left, before.right, before.base):
        return False  # the letters of one ligature
    shifted = abs(glyph.base - before.base) > _STEP * size
    return shifted or abs(glyph.size - before.size) > 0.08 * size or not -_BACK * size < gap < _GAP * size


def _run(glyphs: list[_Glyph]) -> Run:
    text, last = "", glyphs[0].right
    for glyph in glyphs:
        parted = glyph.spaced or (bool(text) and glyph.left - last > _SPACE * glyph.size)
        text += (" " if parted else "") + glyph.char
        last = glyph.right
    first = glyphs[0]
    bold = 2 * sum(glyph.bold for glyph in glyphs) > len(glyphs)
    return text, first.size, bold, round(first.left, 1), round(first.base, 1), round(last, 1)


def _bold(textpage: pypdfium2.PdfTextPage, mark: int) -> bool:
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(textpage, mark, name, 128, flags)
    return raw.FPDFText_GetFontWeight(textpage, mark) >= 600 or bool(_BOLD.search(name.value))


if __name__ == "__main__":
    main()
