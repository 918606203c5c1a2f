"""The PyTorch side of the sequence benchmarks: a GPT with norms first and a cache for writing, and recurrent classifiers."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width: int, heads: int, bias: bool):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
        self.up, self.down = nn.Linear(width, 4 * width, bias=bias), nn.Linear(4 * width, width, bias=bias)

    def forward(self, x: Any, cache: Any = None, at: int = 0) -> Any:
        b, t, c = x.shape
        parts = self.qkv(self.norm1(x)).split(c, 2)
        q, k, v = (part.view(b, t, self.heads, c // self.heads).transpose(1, 2) for part in parts)
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:  # one new token: it sees all before it
            cache[0][:, :, at : at + t], cache[1][:, :, at : at + t] = k, v
            y = F.scaled_dot_product_attention(q, cache[0][:, :, : at + t], cache[1][:, :, : at + t], is_causal=t > 1)
        x = x + self.out(y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Learned positions, norms first, exact GELU, the embedding as output matrix; nanoGPT's initialisation."""

    def __init__(self, vocab: int, width: int, layers: int, heads: int, context: int, bias: bool = True):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks, self.norm = (
            nn.ModuleList(Block(width, heads, bias) for _ in range(layers)),
            nn.LayerNorm(width, bias=bias),
        )
        for name, p in self.named_parameters():
            if p.dim() > 1:
                ends = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / ((2 * layers) ** 0.5 if ends else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x: Any, caches: Any = None, at: int = 0) -> Any:
        x = self.tokens(x) + self.positions(torch.arange(at, at + x.shape[1], device=x.device))
        for i, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[i], at)
        return F.linear(self.norm(x), self.tokens.weight)

    def caches(self, batch: int, slots: int) -> list[tuple[Any, Any]]:
        width, heads = self.tokens.weight.shape[1], self.blocks[0].heads
        empty = lambda: torch.zeros(batch, heads, slots, width // heads)
        return [(empty(), empty()) for _ in self.blocks]


class Recurrent(nn.Module):
    """A recurrent layer over `(batch, time, channels)`, classes from its last output."""

    def __init__(self, kind: str, channels: int, hidden: int, classes: int):
        super().__init__()
        self.core = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](channels, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Any) -> Any:
        return self.head(self.core(x)[0][:, -1])
