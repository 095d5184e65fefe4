"""Decoding of data that is not as the ABI specification says, as old compilers and hand-written code emit it.

Bits above a value are cut off, as the EVM's own code does; byte strings and arrays need no padding. A value
that is not there, or is cut off, is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eth_abi.codec import ABIDecoder

LONGEST = 1_000_000
"""Bytes of data that are looked at."""


def decode_leniently(types: Sequence[str], data: bytes) -> list[Any]:
    """The values of these types in data, in turn; None for one that takes more than a word and is broken.

    Raises ValueError where a value of one word is not there, or nothing can be read.
    """
    from eth_abi.exceptions import DecodingError

    faults = (DecodingError, ValueError, OverflowError, RecursionError, MemoryError)
    if len(data) > LONGEST:
        raise ValueError("too long")
    codec = _codec()
    with suppress(*faults):
        return list(codec.decode(types, data, strict=False))
    values: list[Any] = []
    for at, kind in enumerate(types):
        alone = [given if place == at else _head(given) for place, given in enumerate(types)]
        try:
            values.append(codec.decode(alone, data, strict=False)[at])
        except faults as error:
            if not is_composite(kind):
                raise ValueError(str(error)) from None
            values.append(None)
    if all(value is None for value in values):
        raise ValueError("nothing can be read")
    return values


def is_composite(kind: str) -> bool:
    """Whether a type takes other than one word: arrays, tuples, strings, byte strings."""
    return kind in ("string", "bytes") or kind.endswith("]") or kind.startswith("(")


def _head(kind: str) -> str:
    """A type of one word in the place of one whose tail lies elsewhere."""
    from eth_abi.grammar import parse

    return "bytes32" if parse(kind).is_dynamic else kind


@cache
def _codec() -> ABIDecoder:
    """eth-abi's decoder, for values that may be dirty."""
    from eth_abi import decoding
    from eth_abi.codec import ABIDecoder
    from eth_abi.registry import BaseEquals, registry

    any_padding = {"validate_padding_bytes": _anything}
    unpadded = {"read_data_from_stream": _unpadded}
    truth = {"value_bit_size": 256, "decoder_fn": staticmethod(any)}
    readable = {**unpadded, "decoder_fn": staticmethod(_readable)}
    changed: dict[str, tuple[str, bool | None, type, dict[str, Any]]] = {
        "uint": ("uint", None, decoding.UnsignedIntegerDecoder, any_padding),
        "int": ("int", None, decoding.SignedIntegerDecoder, any_padding),
        "address": ("address", None, decoding.AddressDecoder, any_padding),
        "bool": ("bool", None, decoding.BooleanDecoder, truth),
        "bytes<M>": ("bytes", True, decoding.BytesDecoder, any_padding),
        "function": ("function", None, decoding.BytesDecoder, any_padding),
        "bytes": ("bytes", False, decoding.ByteStringDecoder, unpadded),
        "string": ("string", None, decoding.StringDecoder, readable),
    }
    lenient = registry.copy()  # type: ignore[no-untyped-call]
    for label, (base, sized, kind, members) in changed.items():
        lenient.unregister_decoder(label)
        matching = BaseEquals(base, with_sub=sized)  # type: ignore[no-untyped-call]
        lenient.register_decoder(matching, type(kind.__name__, (kind,), members), label=label)
    return ABIDecoder(lenient)


def _anything(_decoder: Any, _value: Any, _padding: bytes) -> None:
    """Takes any padding for good."""


def _unpadded(_decoder: Any, stream: Any) -> bytes:
    """A byte string of the length that it says, whatever comes after. Raises ValueError where less comes."""
    length = int.from_bytes(stream.read(32), "big")
    data = bytes(stream.read(min(length, LONGEST + 1)))
    if len(data) < length:
        raise ValueError("cut off")
    return data


def _readable(data: bytes, _errors: str) -> str:
    return data.decode("utf-8", errors="replace")
