"""The model of engine/train in PyTorch, the way a careful user writes it for a processor, and three ways to lay out a batch.

Every layout computes the same loss. Like Weir, all of them leave out the tokens after the last that counts, compute logits only
where the loss counts, and compute the last block above its attention for those rows alone.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Shape:
    """The architecture; as many key heads as query heads, and a tied embedding."""

    vocab: int
    dim: int
    layers: int
    heads: int
    hidden: int
    context: int
    theta: float
    eps: float


def turn(x, cos, sin, plain):
    """Rope on neighbouring pairs of x (count, heads, head_dim) by cos and sin (count, head_dim / 2).

    Eager PyTorch is fastest with one complex product; torch.compile does not fuse complex numbers and takes the plain form.
    """
    if not plain:
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * torch.complex(cos, sin)[:, None]).flatten(-2)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class Block(nn.Module):
    """One block. Matrices that read the same input are one, in the order of Weir's array of weights."""

    def __init__(self, s):
        super().__init__()
        self.s = s
        self.attn_norm = nn.Parameter(torch.ones(s.dim))
        self.qkv = nn.Parameter(torch.randn(3 * s.dim, s.dim) * 0.02)
        self.out = nn.Parameter(torch.randn(s.dim, s.dim) * 0.02 / math.sqrt(2 * s.layers))
        self.ffn_norm = nn.Parameter(torch.ones(s.dim))
        self.gate_up = nn.Parameter(torch.randn(2 * s.hidden, s.dim) * 0.02)
        self.down = nn.Parameter(torch.randn(s.dim, s.hidden) * 0.02 / math.sqrt(2 * s.layers))

    def forward(self, x, batch, cos, sin, plain, rows=None):
        s = self.s
        h = F.rms_norm(x, (s.dim,), self.attn_norm, s.eps)
        q, k, v = F.linear(h, self.qkv).unflatten(-1, (3, s.heads, -1)).unbind(1)
        att = batch.attend(turn(q, cos, sin, plain), turn(k, cos, sin, plain), v).flatten(1)
        if rows is not None:
            att, x = att.index_select(0, rows), x.index_select(0, rows)
        x = x + F.linear(att, self.out)
        h = F.rms_norm(x, (s.dim,), self.ffn_norm, s.eps)
        gate, up = F.linear(h, self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)


class Llama(nn.Module):
    """Maps a batch to the sum of its losses."""

    def __init__(self, s, plain=False):
        super().__init__()
        self.s, self.plain = s, plain
        self.embed = nn.Parameter(torch.randn(s.vocab, s.dim) * 0.02)
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.layers))
        self.norm = nn.Parameter(torch.ones(s.dim))
        half = s.dim // s.heads // 2
        angles = torch.outer(torch.arange(s.context).double(), s.theta ** (-torch.arange(half).double() / half))
        self.register_buffer("cos", angles.cos().float())
        self.register_buffer("sin", angles.sin().float())

    def ordered(self):
        """The parameters in the order of Weir's array of weights."""
        return [self.embed, *self.blocks.parameters(), self.norm]

    def forward(self, batch):
        x = F.embedding(batch.tokens, self.embed)
        cos, sin = self.cos[batch.at], self.sin[batch.at]
        for i, block in enumerate(self.blocks):
            x = block(x, batch, cos, sin, self.plain, batch.rows if i == self.s.layers - 1 else None)
        logits = F.linear(F.rms_norm(x, (self.s.dim,), self.norm, self.s.eps), self.embed)
        return F.cross_entropy(logits, batch.targets, reduction="sum")


def needed(example):
    """The tokens before the last that counts, and where among them something is predicted: pairs of place and target."""
    tokens, loss = example["Tokens"], example["Loss"]
    n = max((i for i, counts in enumerate(loss) if counts), default=0)
    return tokens[:n], [(i, tokens[i + 1]) for i in range(n) if loss[i + 1]]


class Batch:
    """Tokens in one array, with what the layouts share. place says where each example begins in the array."""

    def fill(self, examples, starts, count):
        tokens, at, rows, targets = [0] * count, [0] * count, [], []
        for (ids, predicts), start in zip(examples, starts):
            tokens[start : start + len(ids)] = ids
            at[start : start + len(ids)] = range(len(ids))
            rows += [start + i for i, _ in predicts]
            targets += [target for _, target in predicts]
        self.tokens, self.at = torch.tensor(tokens), torch.tensor(at)
        self.rows, self.targets = torch.tensor(rows), torch.tensor(targets)


class Padded(Batch):
    """One example a row, every row as long as the longest."""

    def __init__(self, examples):
        longest = max(len(ids) for ids, _ in examples)
        self.fill(examples, range(0, len(examples) * longest, longest), len(examples) * longest)
        self.grid = self.tokens.view(-1, longest)

    def attend(self, q, k, v):
        q, k, v = (x.unflatten(0, self.grid.shape).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(0, 1)


class Packed(Batch):
    """Several examples a row, kept apart by a mask that is causal within each. row is the least length of a row in tokens;
    0 puts all in one."""

    def __init__(self, examples, row):
        longest, total = max(len(ids) for ids, _ in examples), sum(len(ids) for ids, _ in examples)
        limit = max(row, longest) if row else total
        used, starts, owner = [], [], []
        for ids, _ in examples:  # first fit; the longest come first where examples are sorted
            at = next((r for r, n in enumerate(used) if n + len(ids) <= limit), len(used))
            if at == len(used):
                used.append(0)
            starts.append((at, used[at]))
            used[at] += len(ids)
        width = max(used)
        whose = torch.full((len(used), width), -1)
        for i, ((at, first), (ids, _)) in enumerate(zip(starts, examples)):
            whose[at, first : first + len(ids)] = i
        self.fill(examples, [at * width + first for at, first in starts], len(used) * width)
        self.grid = self.tokens.view(-1, width)
        seen = (whose[:, :, None] == whose[:, None, :]) & torch.ones(width, width, dtype=torch.bool).tril()
        self.mask = torch.zeros(seen.shape).masked_fill(~seen, -math.inf)[:, None]

    def attend(self, q, k, v):
        q, k, v = (x.unflatten(0, self.grid.shape).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask).transpose(1, 2).flatten(0, 1)


class Ragged(Batch):
    """No padding but in attention: groups of examples of about one length are gathered, padded to their longest, and scattered
    back."""

    def __init__(self, examples, groups):
        starts = [0]
        for ids, _ in examples:
            starts.append(starts[-1] + len(ids))
        self.fill(examples, starts, starts[-1])
        size, at = math.ceil(len(examples) / groups), 0
        self.groups, self.back = [], torch.empty(starts[-1], dtype=torch.long)
        for first in range(0, len(examples), size):
            part = range(first, min(first + size, len(examples)))
            longest = max(len(examples[i][0]) for i in part)
            index = torch.zeros(len(part), longest, dtype=torch.long)
            for r, i in enumerate(part):
                n = len(examples[i][0])
                index[r, :n] = torch.arange(starts[i], starts[i] + n)
                self.back[starts[i] : starts[i] + n] = torch.arange(at + r * longest, at + r * longest + n)
            self.groups.append(index)
            at += index.numel()

    def attend(self, q, k, v):
        out = []
        for index in self.groups:
            parts = (x.index_select(0, index.view(-1)).unflatten(0, index.shape).transpose(1, 2) for x in (q, k, v))
            out.append(F.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).flatten(0, 1))
        return torch.cat(out).index_select(0, self.back)


def layout(name):
    """A maker of batches by name: padded, packed, packed-ROW, ragged-GROUPS."""
    kind, _, number = name.partition("-")
    if kind == "padded" and not number:
        return Padded
    if kind == "packed" and (not number or number.isdigit()):
        return lambda examples: Packed(examples, int(number or 0))
    if kind == "ragged" and number.isdigit() and int(number) > 0:
        return lambda examples: Ragged(examples, int(number))
    raise ValueError(f"there is no layout {name!r}; there are padded, packed, packed-ROW and ragged-GROUPS, as packed-256 and ragged-8")


def batches(step, name, chunks):
    """A step's examples as batches of a layout, from the longest to the shortest in so many chunks of about equal tokens."""
    make = layout(name)
    examples = sorted((e for e in map(needed, step) if e[1]), key=lambda e: -len(e[0]))
    total, out, part, seen = sum(len(ids) for ids, _ in examples), [], [], 0
    for e in examples:
        part.append(e)
        seen += len(e[0])
        if seen * chunks >= total * (len(out) + 1):
            out.append(make(part))
            part = []
    return out + ([make(part)] if part else [])
