"""Judges that run on this machine: cross-encoders for entailment, and models that answer 1 or 0.

Of a classifier over `contradiction`, `entailment` and `neutral`, entailment must be the likeliest; of one
with a single output (HHEM), its sigmoid must reach one half; of one with two (MiniCheck's RoBERTa), the
second must be the likelier. Of an encoder-decoder (MiniCheck's Flan-T5), `1` must be likelier than `0` as the
first word (Tang, Laban and Durrett 2024, arXiv:2404.10774).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from agent.text.sentences import split
from index.errors import ModelError

_SUPPORTS = re.compile(r"entail|support|consistent", re.IGNORECASE)
_OPPOSES = re.compile(r"not[ _-]?(?:entail|support)|non[ _-]?entail|unsupport|inconsistent", re.IGNORECASE)


class LocalJudge:
    """A model that says whether a passage entails a claim; `load` finds it by name or folder.

    A passage longer than the model reads is divided between sentences; one part must entail the claim.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        self.name, self._model, self._tokenizer = name, model, tokenizer
        config = model.config
        self._generates = bool(getattr(config, "is_encoder_decoder", False))
        labels = dict(getattr(config, "id2label", None) or {})
        self._yes = _label_of(labels)
        longest = int(getattr(config, "max_position_embeddings", 0) or tokenizer.model_max_length)
        self._room = max(min(longest, tokenizer.model_max_length, 2048) - 4, 8)

    @staticmethod
    @lru_cache(maxsize=2)
    def load(name: str) -> LocalJudge:
        """The judge of that name: a folder, or a name on the hub, from which it may be downloaded.

        No code of the model's repository is run. Raises ModelError where it cannot be loaded.
        """
        try:
            from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            if getattr(AutoConfig.from_pretrained(name), "is_encoder_decoder", False):
                model = AutoModelForSeq2SeqLM.from_pretrained(name)
                return LocalJudge(name, model.eval(), AutoTokenizer.from_pretrained(name))
            from sentence_transformers import CrossEncoder

            encoder = CrossEncoder(name, device="cpu")
            return LocalJudge(name, encoder.model.eval(), encoder.tokenizer)
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"the verifier {name!r} cannot be loaded ({reason}); give a cross-encoder for entailment by "
                "name or folder, or set `verifier` to chat or none"
            ) from error

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bool | None]:
        """Whether some part of each passage entails its claim."""
        return [any(self._entails(part, claim) for part in self._parts(text, claim)) for claim, text in pairs]

    def _parts(self, text: str, claim: str) -> list[str]:
        """The passage, in parts of whole sentences that fit beside the claim."""
        room = max(self._room - self._tokens(claim), self._room // 4)
        parts: list[str] = []
        last = ""
        for unit in split(text) if self._tokens(text) > room else ():
            longer = f"{last} {text[unit.start : unit.end]}".strip()
            if last and self._tokens(longer) > room:
                parts.append(last)
                longer = text[unit.start : unit.end]
            last = longer
        return [*parts, last or text]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _tokens(self, text: str) -> int:
        return len(self._ids(text))

    def _entails(self, passage: str, claim: str) -> bool:
        import torch

        with torch.inference_mode():
            if self._generates:
                return self._answers_one(passage, claim)
            inputs = self._tokenizer(
                passage, claim, truncation="only_first", max_length=self._room, return_tensors="pt"
            )
            logits = self._model(**inputs).logits[0]
        if len(logits) == 1:
            return bool(torch.sigmoid(logits)[0] >= 0.5)
        return int(logits.argmax()) == (self._yes if self._yes is not None else 1)

    def _answers_one(self, passage: str, claim: str) -> bool:
        import torch

        text = f"predict: {passage}{self._tokenizer.eos_token}{claim}"
        inputs = self._tokenizer(text, truncation=True, max_length=self._room, return_tensors="pt")
        begin = torch.tensor([[self._model.config.decoder_start_token_id]])
        logits = self._model(**inputs, decoder_input_ids=begin).logits[0, 0]
        no, yes = (self._ids(word)[0] for word in ("0", "1"))
        return bool(logits[yes] > logits[no])


def _label_of(labels: dict[int, str]) -> int | None:
    """Which of a classifier's labels says that a claim is entailed; None where no name says so."""
    for at, label in labels.items():
        if _SUPPORTS.search(str(label)) and not _OPPOSES.search(str(label)):
            return int(at)
    return None
