"""Makes transformer.npz: PyTorch 2.13's encoder and decoder layers (norm last and first), inputs, weights, outputs."""

from pathlib import Path

import numpy as np
import torch

if __name__ == "__main__":
    torch.manual_seed(0)
    x, memory = torch.randn(2, 4, 4), torch.randn(2, 3, 4)
    hidden = torch.tensor([[False] * 3, [False, True, True]])
    causal = torch.nn.Transformer.generate_square_subsequent_mask(4)
    golden = {"x": x.numpy(), "memory": memory.numpy(), "memory_mask": ~hidden.numpy()}
    for order in ("first", "last"):
        layer = torch.nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, batch_first=True, norm_first=order == "first")
        with torch.no_grad():
            for p in layer.parameters():
                p.add_(0.3 * torch.randn_like(p))
            y = layer(x, memory, tgt_mask=causal, memory_key_padding_mask=hidden)
        golden |= {f"{order}/{name}": value.numpy() for name, value in layer.state_dict().items()}
        golden[f"{order}/y"] = y.numpy()
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **golden)
