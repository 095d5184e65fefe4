"""`chaincite eval grounding`: judged pairs in, decisions and measures out; local judges are really loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.grounding.local_entailment import LocalJudge
from evals.grounding import Pair, decide, read_pairs, shares
from index.errors import ModelError, SourceError
from index.settings import Settings
from tests.agent.endpoint import Endpoint, Reply, Request, say

PASSAGE = "Clients MUST NOT accept blocks of more than 24 blobs. Wallets read the fee from the header."
ROWS = [
    ("a", "Clients must not accept blocks of more than 24 blobs.", "supported", "light"),
    ("b", "Wallets learn the fee by reading the header.", "supported", "strong"),
    ("c", "Clients must accept blocks of more than 24 blobs.", "refuted", "negation"),
    ("d", "Clients must not accept blocks of more than 25 blobs.", "not_supported", "value"),
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    rows = (
        {"id": name, "passage": PASSAGE, "claim": claim, "label": label, "type": kind, "path": "eip-9.md"}
        for name, claim, label, kind in ROWS
    )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def outcomes(found: list[dict[str, object]]) -> dict[object, object]:
    return {one["id"]: one["outcome"] for one in found}


def test_decisions_and_measures_of_the_command(chaincite, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "decisions.jsonl"
    done = chaincite("eval", "grounding", pairs, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    decisions = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert outcomes(decisions) == {"a": "verified", "b": "unverified", "c": "unverified", "d": "removed"}
    assert [one["verified_by"] for one in decisions] == ["verbatim", None, None, None]
    assert "25" in decisions[3]["reason"]
    measures = {(one["label"], one["type"], one["outcome"]): one for one in json.loads(done.stdout)}
    assert measures["supported", "", "verified"]["count"] == 1
    removed = measures["not supported", "value", "removed"]
    assert (removed["share"], removed["of"], removed["high"]) == (1.0, 1, 1.0)
    assert 0.2 < removed["low"] < 0.21


def test_a_chat_model_judges_where_an_endpoint_is_set(pairs: Path, tmp_path: Path) -> None:
    def by_label(request: Request) -> Reply:
        true = any(claim in request.text for _, claim, label, _ in ROWS if label == "supported")
        return say(json.dumps({"1": "yes" if true else "no"}))

    with Endpoint(by_label) as served:
        settings = Settings.load(library=tmp_path, base_url=served.url, judge_model="stern")
        decisions = decide(read_pairs(pairs), settings)
    assert [one.outcome for one in decisions] == ["verified", "verified", "removed", "removed"]
    assert [one.verified_by for one in decisions] == ["verbatim", "stern", None, None]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no pairs"),
        ("{", "line 1 is no pair"),
        ('{"id": "a", "passage": "b", "claim": "c"}', "line 1 is no pair"),
        ('{"id": 1, "passage": "b", "claim": "c", "label": "d"}', "line 1 is no pair"),
        ('{"id": "a", "passage": "b", "claim": "c", "label": "d"}\n' * 2, "'a' more than once"),
    ],
)
def test_a_file_that_holds_no_pairs_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)
    with pytest.raises(SourceError, match=said):
        read_pairs(tmp_path / "bad.jsonl")


def test_shares_count_each_claim_once() -> None:
    pairs = [Pair("a", "p", "c", "supported"), Pair("b", "p", "c", "supported", type="x")]
    found = shares(pairs, decide(pairs, Settings.load(verifier="none")))
    assert [one.of for one in found if one.type == ""] == [2, 2, 2]


# Local judges: tiny models that a test makes, with weights that decide by one word of the claim


def _tokenizer(folder: Path, words: str) -> object:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: at for at, word in enumerate(["<pad>", "<unk>", "<s>", "</s>", *words.split()])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        cls_token="<s>", sep_token="</s>", model_max_length=32,
    )  # fmt: skip
    made.save_pretrained(folder)
    return made


def classifier(folder: Path, labels: list[str]) -> Path:
    """A cross-encoder whose logits are the same for all texts: the last label wins."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _tokenizer(folder, "clients wallets fee header blocks")
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1,  # type: ignore[arg-type]
        intermediate_size=8, max_position_embeddings=40, num_labels=len(labels),
        id2label=dict(enumerate(labels)), label2id={label: at for at, label in enumerate(labels)},
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.arange(1.0, len(labels) + 1))
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("labels", "entailed"),
    [
        (["contradiction", "neutral", "entailment"], True),
        (["entailment", "neutral", "contradiction"], False),
        (["LABEL_0"], True),
        (["LABEL_0", "LABEL_1"], True),
        (["supported", "unsupported"], False),
    ],
)
def test_a_local_classifier_judges_by_its_labels(
    tmp_path: Path, pairs: Path, labels: list[str], entailed: bool
) -> None:
    folder = classifier(tmp_path / "model", labels)
    decisions = decide(read_pairs(pairs), Settings.load(verifier=str(folder)))
    asked = "verified" if entailed else "removed"
    assert [one.outcome for one in decisions] == ["verified", asked, asked, "removed"]
    assert decisions[1].verified_by == (str(folder) if entailed else None)


def test_a_long_passage_is_read_in_parts_and_never_cut(tmp_path: Path) -> None:
    judge = LocalJudge.load(str(classifier(tmp_path / "model", ["no", "yes"])))
    read: list[str] = []
    judge._entails = lambda part, claim: bool(read.append(part)) or "header" in part  # type: ignore[method-assign]
    long = "Clients read blocks from wallets each day. " * 9 + "The fee is in the header."
    assert judge([("wallets", long), ("wallets", long[:-8])]) == [True, False]
    assert " ".join(read[: len(read) // 2]).count("Clients") == 9


def test_a_model_that_answers_one_or_zero_judges(tmp_path: Path) -> None:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = _tokenizer(tmp_path, "0 1 predict wallets")
    config = T5Config(
        vocab_size=len(tokenizer), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1,  # type: ignore[arg-type]
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=3, tie_word_embeddings=False,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(0.0 if name.endswith(("o.weight", "lm_head.weight")) else 1.0)
    for word in ("0", "1"):
        with torch.no_grad():
            model.lm_head.weight[tokenizer(word)["input_ids"][1]] = int(word) + 1.0  # type: ignore[operator]
    model.save_pretrained(tmp_path)
    assert LocalJudge.load(str(tmp_path))([("wallets", "wallets")]) == [True]


def test_a_verifier_that_is_no_model_is_an_error_that_says_what_to_do(tmp_path: Path, pairs: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        decide(read_pairs(pairs), Settings.load(verifier=str(tmp_path)))
