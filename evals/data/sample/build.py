"""Writes the sample library's PDF and its MANIFEST.json: `python evals/data/sample/build.py`.

The same sources give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer

HERE = Path(__file__).parent
PDF = HERE / "bitcoin-blocks.pdf"
EVENTS = (
    "https://github.com/blockchain-etl/ethereum-etl/blob/9e51c3b8d43bdbf775a71d802d39fbfd73566ba6"
    "/tests/resources/test_stream/blocks_17173049_17173050/expected_token_transfers.json"
)
TITLE = "Blocks, difficulty and supply in Bitcoin"
PAGES = """
A note by the chaincite authors, 20 November 2026, released under CC0-1.0.

# The header

A Bitcoin block header has 80 bytes: 4 for the version, 32 for the hash of the previous block, 32 for the
Merkle root of the transactions, 4 for the time, 4 for the target in compact form, and 4 for the nonce. Miners
change the header until its double SHA-256 hash, read as a number, is not above the target.

At one block every ten minutes the headers of a year come to about 4.2 megabytes. A light client keeps only
these and checks a payment by a Merkle branch that links its transaction to a header.
\f
# The difficulty

Every 2,016 blocks the target is set anew, so that the next 2,016 blocks take about two weeks. The time that
the last ones took is compared with 1,209,600 seconds. One step changes the target by a factor of four at
most, up or down.

# The supply

The subsidy of a block began at 50 bitcoin and is halved every 210,000 blocks, about every four years. The sum
of all subsidies stays below 21 million bitcoin. The outputs of a coinbase transaction can be spent only after
100 further blocks.

Sources: https://bitcoin.org/bitcoin.pdf and https://github.com/bitcoin/bitcoin
"""


def write_pdf(path: Path) -> None:
    """Writes the note on blocks to a file: two small pages, with title and author in the metadata."""
    styles = getSampleStyleSheet()
    flow: list[Flowable] = [Paragraph(TITLE, styles["Title"])]
    for page in PAGES.split("\f"):
        for paragraph in page.strip().split("\n\n"):
            style = styles["Heading2" if paragraph.startswith("# ") else "Normal"]
            flow += [Paragraph(paragraph.removeprefix("# "), style), Spacer(1, 6)]
        flow.append(PageBreak())
    SimpleDocTemplate(str(path), pagesize=A5, title=TITLE, author="The chaincite authors", invariant=1).build(
        flow
    )


def entry(path: Path) -> dict[str, str | int]:
    """A file's line in the manifest. The notes have no home on the web, so that a `tag:` URI names them."""
    data = path.read_bytes()
    events = path.suffix == ".jsonl"
    return {
        "path": path.name,
        "source": EVENTS if events else f"tag:chaincite,2026:sample/{path.name}",
        "kind": "chain" if events else "paper",
        "licence": "MIT" if events else "CC0-1.0",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
    }


if __name__ == "__main__":
    write_pdf(PDF)
    files = sorted(
        path
        for path in HERE.iterdir()
        if path.is_file() and path.suffix != ".py" and path.name != "MANIFEST.json"
    )
    manifest = json.dumps([entry(path) for path in files], indent=1)
    (HERE / "MANIFEST.json").write_text(manifest + "\n", encoding="utf-8")
