"""Trains Weir's small Llama in PyTorch on the processor: how fast, and whether it computes the same.

  speed.py speed mini.json --layout ragged-8 --threads 2            tokens a second, as JSON
  speed.py speed mini.json --layout padded --chunks 4 --compile     padded, a step in 4 parts, compiled
  speed.py check FOLDER                                             for `go test -run Torch ./engine/train`

The layouts: padded (a row an example), packed (one row, a block-diagonal mask), packed-256 (rows of 256 tokens), ragged-8 (no
padding but in attention, 8 groups of about one length). mini.json holds real batches of the corpus; README.md says how to write it.
A token is one of an example's, counted as Weir counts: also those that a layout leaves out.
"""

import argparse
import ctypes
import json
import math
import os
import sys
import time

import numpy
import torch
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters

from llama import Llama, Shape, batches


def keep_memory():
    """Makes glibc keep freed memory: without, each step maps and clears its activations anew, which costs PyTorch a fifth."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        trim, top, mmap = -1, -2, -3  # mallopt's names: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
        for option, value in ((trim, 2**31 - 1), (top, 64 << 20), (mmap, 32 << 20)):
            libc.mallopt(option, value)
    except OSError:
        pass  # not glibc; its allocator decides


class Training:
    """A model, AdamW as Weir's, and the steps it goes through again and again, laid out before the clock starts."""

    def __init__(self, dump, layout, chunks=1, compiled=False, weights=None):
        torch.manual_seed(1)
        c = self.config = dump["Config"]
        shape = Shape(c["Vocab"], c["Dim"], c["Layers"], c["Heads"], c["Hidden"], c["Context"], c["RopeTheta"], c["Eps"])
        self.model = Llama(shape, plain=compiled)
        if weights is not None:
            vector_to_parameters(torch.from_numpy(weights), self.model.ordered())
        self.loss = torch.compile(self.model, dynamic=True) if compiled else self.model
        self.steps = [batches(step, layout, chunks) for step in dump["Steps"]]
        self.tokens = [sum(len(e["Tokens"]) for e in step) for step in dump["Steps"]]
        self.step = 0
        decayed = [p for p in self.model.blocks.parameters() if p.dim() > 1]
        others = [self.model.embed, self.model.norm] + [p for p in self.model.blocks.parameters() if p.dim() == 1]
        groups = [{"params": decayed, "weight_decay": c["Decay"]}, {"params": others, "weight_decay": 0.0}]
        self.adamw = torch.optim.AdamW(groups, betas=(c["Beta1"], c["Beta2"]), eps=1e-8, fused=True)

    def rate(self):
        """A linear warm-up, then half a cosine down to the final share."""
        c = self.config
        if self.step < c["Warmup"]:
            return c["Rate"] * (self.step + 1) / c["Warmup"]
        done = (self.step - c["Warmup"]) / max(1, c["Steps"] - c["Warmup"])
        return c["Rate"] * (c["Final"] + (1 - c["Final"]) * 0.5 * (1 + math.cos(math.pi * done)))

    def gradient(self, parts):
        """Leaves the gradient of the mean loss, which it gives, at the parameters."""
        counted = sum(len(b.rows) for b in parts)
        self.adamw.zero_grad(set_to_none=True)
        total = 0.0
        for b in parts:
            loss = self.loss(b) / counted
            loss.backward()
            total += loss.item()
        return total

    def one(self):
        """One step; its loss and the tokens it read."""
        at = self.step % len(self.steps)
        loss = self.gradient(self.steps[at])
        clip_grad_norm_(self.model.parameters(), self.config["Clip"])
        for group in self.adamw.param_groups:
            group["lr"] = self.rate()
        self.adamw.step()
        self.step += 1
        return loss, self.tokens[at]


def run(training, seconds):
    """Steps for some seconds: tokens a second by the clock and by the processor's time, and the steps done."""
    tokens, steps, loss, began, busy = 0, 0, 0.0, time.perf_counter(), time.process_time()
    while steps == 0 or time.perf_counter() - began < seconds:
        loss, n = training.one()
        tokens, steps = tokens + n, steps + 1
    return {
        "tokens_per_second": round(tokens / (time.perf_counter() - began)),
        "tokens_per_cpu_second": round(tokens / (time.process_time() - busy)),
        "steps": steps,
        "loss": round(loss, 4),
    }


def speed(args):
    torch.set_num_threads(args.threads)
    keep_memory()
    with open(args.dump) as f:
        dump = json.load(f)
    training = Training(dump, args.layout, args.chunks, args.compile)
    about = {"peer": "torch " + torch.__version__, "layout": args.layout, "chunks": args.chunks, "compile": args.compile, "threads": args.threads}
    about["first_loss"] = round(training.one()[0], 5)
    run(training, 0)
    for _ in range(args.warm):
        training.one()
    if args.wait:
        print(json.dumps({**about, "ready": True}), flush=True)
    for _ in sys.stdin if args.wait else range(args.rounds):
        print(json.dumps({**about, **run(training, args.seconds)}), flush=True)


def check(args):
    """Reads FOLDER/case.json and FOLDER/weights.f32, and for each layout prints the losses of the steps and writes the first
    step's gradient and the last weights to FOLDER/LAYOUT.gradient.f32 and FOLDER/LAYOUT.weights.f32."""
    torch.set_num_threads(1)
    with open(os.path.join(args.folder, "case.json")) as f:
        case = json.load(f)
    weights = numpy.fromfile(os.path.join(args.folder, "weights.f32"), dtype="<f4")
    out = {}
    for name in case["Layouts"]:
        training = Training(case, name, chunks=2, compiled=args.compile, weights=weights.copy())
        save = lambda what, vector: vector.detach().numpy().astype("<f4").tofile(os.path.join(args.folder, f"{name}.{what}.f32"))
        training.gradient(training.steps[0])
        save("gradient", parameters_to_vector(p.grad for p in training.model.ordered()))
        out[name] = [training.one()[0] for _ in training.steps]
        save("weights", parameters_to_vector(training.model.ordered()))
    print(json.dumps(out))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("speed", help="tokens a second, as a line of JSON a round")
    p.add_argument("dump", help="real batches, from TestDump")
    p.add_argument("--layout", default="ragged-8", help="padded, packed, packed-ROW or ragged-GROUPS (%(default)s)")
    p.add_argument("--chunks", type=int, default=1, help="parts of a step, by length, whose gradients add up (%(default)s)")
    p.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler and a minute")
    p.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    p.add_argument("--seconds", type=float, default=5, help="of a round (%(default)s)")
    p.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    p.add_argument("--warm", type=int, default=10, help="steps before the first round; new shapes compile there (%(default)s)")
    p.add_argument("--wait", action="store_true", help="a round for each line on stdin, after a line that says ready")
    p.set_defaults(run=speed)
    p = commands.add_parser("check", help="losses, gradient and weights for the Go test to compare")
    p.add_argument("folder", help="where the Go test left case.json and weights.f32")
    p.add_argument("--compile", action="store_true", help="compiled, which takes minutes")
    p.set_defaults(run=check)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
