"""What may be said of what happened on a chain, in files or at a node, that is to be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, cast

import typer
from pydantic import BeforeValidator, Field, model_validator

from index.values import Kind
from ingest.options import Caip2, Options, Texts, loaded

if TYPE_CHECKING:
    from index.values import SourceRef
    from ingest.connector import Connector, Doors

TAGS = ("latest", "safe", "finalized")


def _block(value: object) -> object:
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        return int(value)
    if value not in TAGS and not isinstance(value, int):
        raise ValueError(f"should be a number, {', '.join(TAGS)}, but it is {value!r}")
    return value


class Chain(Options):
    """Read what happened on a chain, from files or from nodes.

    Files hold blocks, transactions, logs and token transfers: JSON, CSV or Parquet, as ethereum-etl, cryo,
    BigQuery, Dune, Etherscan and eth_getLogs give them.
    A node (--rpc, --address, --from-block) gives logs; what was read is not read again, and reorganisations
    are followed. Exit status 2 when something was skipped; the rest is in the library all the same.
    """

    kind_of_source: ClassVar[str] = "chain"
    connector: ClassVar[str] = "ingest.chain.connector:Files"
    on_record: ClassVar[bool] = False

    files: Annotated[
        Texts,
        typer.Option(
            "--file", help="Logs, token transfers, blocks or transactions; or a folder; may be repeated."
        ),
    ] = ()
    blocks: Annotated[Texts, typer.Option(help="The blocks of these logs.")] = ()
    transactions: Annotated[Texts, typer.Option(help="The transactions of these logs.")] = ()
    manifest: Annotated[
        Path | None, typer.Option(help="JSON list of files; alone, all of kind `chain` are read.")
    ] = None
    chain: Annotated[
        Caip2 | None, typer.Option(metavar="CAIP-2", help="Chain that the files are of: eip155:1.")
    ] = None
    rpc: Annotated[Texts, typer.Option(metavar="URL", help="Node to read logs from; may be repeated.")] = ()
    address: Annotated[
        Texts, typer.Option(metavar="0x…", help="Contract whose logs are read; may be repeated.")
    ] = ()
    from_block: Annotated[int | None, Field(ge=0), typer.Option(help="First block to read from a node.")] = (
        None
    )
    to_block: Annotated[
        Annotated[int, Field(ge=0)] | Literal["latest", "safe", "finalized"],
        BeforeValidator(_block),
        typer.Option(help="Last block: a number, latest, safe, finalized."),
    ] = "latest"
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new blocks until Ctrl-C.")] = Field(
        False, exclude=True
    )
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Read the transactions of these logs as well.")
    ] = False
    abi: Annotated[
        tuple[Path, ...], typer.Option(help="ABI or Solidity that declares events; may be repeated.")
    ] = ()
    passages: Annotated[
        int,
        Field(ge=0),
        typer.Option(help="Transactions of a file told one by one; more are told together."),
    ] = 2000

    @property
    def targets(self) -> tuple[str, ...]:
        """All files and folders."""
        return (*self.files, *self.blocks, *self.transactions)

    @property
    def tables(self) -> dict[Path, str]:
        """The table of the rows of those files and folders of which it is said."""
        return {
            **{Path(one): "blocks" for one in self.blocks},
            **{Path(one): "transactions" for one in self.transactions},
        }

    @property
    def place(self) -> str:
        """The chain, with the first file or contract."""
        first = (*self.targets, *self.address, str(self.manifest or "all contracts"))[0]
        return f"{self.chain or 'chain'} {first}"

    @classmethod
    def owns(cls, ref: SourceRef) -> bool:
        """Events, wherever they were read."""
        return ref.kind is Kind.EVENT and ref.chain is not None

    def within(self, folder: Path) -> Self:
        """Files from a folder."""
        paths = {name: tuple(str(folder / one) for one in getattr(self, name)) for name in _PATHS}
        manifest = folder / self.manifest if self.manifest else None
        abi = tuple(folder / file for file in self.abi)
        return self.model_copy(update={**paths, "manifest": manifest, "abi": abi})

    def open(self, doors: Doors) -> Connector:
        """The files, or the logs at the node."""
        reader = self.connector if self.from_block is None else "ingest.chain.connector:Logs"
        return cast("Connector", loaded(reader)(self, doors))

    @model_validator(mode="after")
    def _files_or_node(self) -> Self:
        has_files, has_node = bool(self.targets or self.manifest), bool(self.rpc or self.address)
        if has_files and (has_node or self.from_block is not None):
            raise ValueError("files and nodes are read one after the other; leave out `files` or `rpc`")
        if has_node and self.from_block is None:
            raise ValueError("give `from-block` N, the first block to read; what was read is not read again")
        if not has_files and self.from_block is None:
            raise ValueError(
                "nothing to read; needs either `files` or `manifest`, or `from-block` to read from a node"
            )
        if has_files and self.chain is None:
            _chain_is_needed()
        return self

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.follow and self.to_block != "latest":
            raise ValueError("`follow` reads up to the latest block; leave out `to-block`")
        if isinstance(self.to_block, int) and (self.from_block or 0) > self.to_block:
            raise ValueError(
                f"the range is inverted: block {self.from_block} is after block {self.to_block}; swap the two"
            )
        return self


_PATHS = ("files", "blocks", "transactions")


def _chain_is_needed() -> None:
    raise ValueError("`chain` should be a CAIP-2 id, as eip155:1 for Ethereum mainnet, but it is missing")
