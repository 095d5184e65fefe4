"""Converts the shipped BERT to OpenVINO: `python -m index.convert WEIGHTS_FOLDER OUT.xml [ADAPTER]`.

Without a reader it becomes the embedder, with one the cross-encoder that reads a question beside a sentence.
Run as a child process by `index.network`, which keeps torch out of every other process.
"""

from __future__ import annotations

import sys
from typing import Any


def embedder(weights: str) -> Any:
    """The module `(tokens, mask) -> unit vectors` with mean pooling, and two examples of its inputs.

    Mean pooling over the mask and unit length: Reimers and Gurevych 2019, Sentence-BERT, section 3.
    """
    import torch
    from transformers import AutoModel

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModel.from_pretrained(weights, attn_implementation="sdpa").eval()

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1)

    return Pooled().eval()


def reader(weights: str, adapter: str) -> Any:
    """The module `(tokens, mask, types, span) -> scores` that `index.reader` runs and `evals.reader` trains.

    The adapter holds, for each linear layer of the encoder, two factors whose product is added to its weights
    (Hu et al. 2021, LoRA), the biases and norms, and the head over the first token and the mean of the span.
    Without one (an empty name) the head is random. Raises KeyError for a part that the adapter lacks.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel

    class Scored(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = AutoModel.from_pretrained(
                weights, attn_implementation="sdpa", add_pooling_layer=False
            )
            self.head = torch.nn.Linear(2 * self.bert.config.hidden_size, 1)

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any, span: Any) -> Any:
            hidden = self.bert(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state
            weight = span.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)
            return self.head(torch.cat([hidden[:, 0], mean], 1))

    module = Scored().eval()
    if adapter:
        trained = {name: value.float() for name, value in load_file(adapter).items()}
        state = module.state_dict()
        for name, value in state.items():
            short = name.removeprefix("bert.")
            layer = short.removesuffix(".weight")
            if f"{layer}.B" in trained:
                value.add_(trained[f"{layer}.B"] @ trained[f"{layer}.A"])
            elif not short.startswith("embeddings"):
                value.copy_(trained[short])
        module.load_state_dict(state)
    return module


def convert(weights: str, out: str, adapter: str = "") -> None:
    """Writes the network to `out`, for any number of rows and any width up to 512 tokens."""
    import openvino
    import torch

    module = reader(weights, adapter) if adapter else embedder(weights)
    rest = (torch.ones((2, 16), dtype=torch.int64) for _ in range(3 if adapter else 1))
    example = (torch.full((2, 16), 100), *rest)
    shape = {0: torch.export.Dim("batch", max=4096), 1: torch.export.Dim("length", min=2, max=512)}
    with torch.no_grad():
        program = torch.export.export(module, example, dynamic_shapes=(shape,) * len(example))
    openvino.save_model(openvino.convert_model(program), out, compress_to_fp16=False)


if __name__ == "__main__":
    convert(*sys.argv[1:])
