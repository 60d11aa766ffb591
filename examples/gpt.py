"""A small GPT over characters, and a real text to train it on: Python's own documentation.

The text is `pydoc_data.topics`, what `help("for")` and the like show; it comes with Python. The
model is the usual one (causal self-attention and a perceptron in each block, pre-norm), small
enough for a laptop.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def text() -> str:
    """About half a million characters of reference documentation."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


class Characters:
    """Text as numbers and back."""

    def __init__(self, text: str) -> None:
        self.alphabet = sorted(set(text))
        self._number = {character: n for n, character in enumerate(self.alphabet)}

    def encode(self, text: str) -> Tensor:
        return torch.tensor([self._number[one] for one in text])

    def decode(self, numbers: Tensor) -> str:
        return "".join(self.alphabet[one] for one in numbers.tolist())


@dataclass(frozen=True)
class Shape:
    alphabet: int
    window: int = 64
    width: int = 96
    heads: int = 4
    layers: int = 3


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norms = nn.ModuleList([nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)])
        self.attend = nn.Linear(shape.width, 3 * shape.width)
        self.join = nn.Linear(shape.width, shape.width)
        self.think = nn.Sequential(
            nn.Linear(shape.width, 4 * shape.width),
            nn.GELU(),
            nn.Linear(4 * shape.width, shape.width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: batch × time × width."""
        many, time, width = x.shape
        parts = self.attend(self.norms[0](x)).view(many, time, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.join(seen.transpose(1, 2).reshape(many, time, width))
        return x + self.think(self.norms[1](x))


class GPT(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.what = nn.Embedding(shape.alphabet, shape.width)
        self.where = nn.Embedding(shape.window, shape.width)
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.layers)))
        self.norm = nn.LayerNorm(shape.width)
        self.say = nn.Linear(shape.width, shape.alphabet)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (batch × time) to scores of the next character (batch × time × alphabet)."""
        places = torch.arange(x.shape[1], device=x.device)
        return self.say(self.norm(self.blocks(self.what(x) + self.where(places))))


def loss(model: nn.Module, data: Tensor, window: int, batch: int, seed: int) -> Tensor:
    """Cross-entropy, in nats a character, of a random batch."""
    chance = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(data) - window - 1, (batch,), generator=chance)
    rows = torch.stack([data[start : start + window + 1] for start in starts.tolist()])
    scores = model(rows[:, :-1])
    return functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def write(model: GPT, start: Tensor, count: int, seed: int = 0) -> Tensor:
    """The start and `count` characters more."""
    chance, said = torch.Generator().manual_seed(seed), start[None]
    for _ in range(count):
        scores = model(said[:, -model.shape.window :])[0, -1] / 0.8
        following = torch.multinomial(scores.softmax(0), 1, generator=chance)
        said = torch.cat([said, following[None]], 1)
    return said[0]


def keep(model: GPT) -> dict[str, Any]:
    """What `load` makes the model of again."""
    weights = {name: one.cpu() for name, one in model.state_dict().items()}
    return {"shape": asdict(model.shape), "weights": weights}


def load(kept: dict[str, Any]) -> GPT:
    model = GPT(Shape(**kept["shape"]))
    model.load_state_dict(kept["weights"])
    return model
