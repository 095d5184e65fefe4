"""Converts a BERT-like sentence model to OpenVINO: `python -m index.convert WEIGHTS_FOLDER OUT.xml`.

Run as a child process by `index.embed`, which keeps torch out of every other process.
"""

from __future__ import annotations

import sys
from typing import Any


def convert(weights: str, out: str) -> None:
    """Writes the network `(input_ids, attention_mask) -> unit vectors` with mean pooling to `out`.

    Mean pooling over the mask and unit length: Reimers and Gurevych 2019, Sentence-BERT, section 3.
    """
    import openvino
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

    example = (torch.full((2, 16), 100), torch.ones((2, 16), dtype=torch.int64))
    shape = {0: torch.export.Dim("batch", max=4096), 1: torch.export.Dim("length", min=2, max=512)}
    with torch.no_grad():
        program = torch.export.export(Pooled(), example, dynamic_shapes=(shape, shape))
    openvino.save_model(openvino.convert_model(program), out, compress_to_fp16=False)


if __name__ == "__main__":
    convert(sys.argv[1], sys.argv[2])
