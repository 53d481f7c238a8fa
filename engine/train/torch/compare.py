"""Measures Weir's trainer and PyTorch in turn on the same batches, and prints every round and the table of medians as JSON.

  go test -c -o train.test ./engine/train
  compare.py mini.json --weir ./train.test ragged-8 ragged-8,compile padded,chunks=4 packed-256

A variant is a layout of speed.py with what follows it: chunks=N, compile. Every variant is measured with each number of threads. All
processes start and warm up first and then wait for their turns; --wait also waits for a line on stdin before the first round, so
that a machine can be made quiet until this program ends.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys


class Torch:
    """A process of speed.py that measures a round for each line it is sent."""

    def __init__(self, args, variant, threads):
        layout, *more = variant.split(",")
        self.name, self.threads = "torch " + variant, threads
        flags = [f"--{m.split('=')[0]}" if "=" not in m else f"--{m}" for m in more]
        program = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "speed.py"), "speed", args.dump, "--layout", layout]
        program += flags + ["--threads", str(threads), "--seconds", str(args.seconds), "--wait"]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} with {self.threads} threads ended; run speed.py alone to see why")
        return json.loads(line)

    def ready(self):
        return self.answer()["first_loss"]

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()["tokens_per_second"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Weir:
    """The Go benchmark, which starts at once and so is started for each round."""

    def __init__(self, args, threads):
        self.name, self.threads = "weir", threads
        self.program = [os.path.abspath(args.weir), "-test.run=^$", f"-test.bench=^BenchmarkBatches$/^threads{threads}$", f"-test.benchtime={args.seconds}s"]
        self.env = {**os.environ, "WEIR_BATCHES": os.path.abspath(args.dump)}

    def round(self):
        out = subprocess.run(self.program, env=self.env, capture_output=True, text=True, check=True).stdout
        found = re.search(r"([\d.e+]+) tokens/s", out)
        if not found:
            raise RuntimeError(f"the benchmark printed no tokens/s: {out}")
        return round(float(found[1]))

    def stop(self):
        pass


def start(args):
    """All peers, warm. The peers of PyTorch begin with the same weights, so that their first losses must agree."""
    peers, first = [], None
    for threads in args.threads:
        peers.append(Weir(args, threads))
        for variant in args.variants:
            peer = Torch(args, variant, threads)
            loss = peer.ready()
            first = first or loss
            if abs(loss - first) > 1e-4 * first:
                raise RuntimeError(f"{peer.name} begins with a loss of {loss}, the first variant with {first}: they compute different things")
            peers.append(peer)
    return peers


def table(peers, rounds):
    """Medians by peer and threads, and the ratio of Weir to the best of PyTorch for each number of threads and over all."""
    rows = [{"peer": p.name, "threads": p.threads, "tokens_per_second": statistics.median(r), "rounds": r} for p, r in zip(peers, rounds)]
    best = lambda weir, threads: max(r["tokens_per_second"] for r in rows if (r["peer"] == "weir") == weir and r["threads"] in threads)
    counts = sorted({p.threads for p in peers})
    ratios = {str(n): round(best(True, [n]) / best(False, [n]), 2) for n in counts}
    return {"rows": rows, "ratio_by_threads": ratios, "ratio": round(best(True, counts) / best(False, counts), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", help="real batches, from TestDump")
    parser.add_argument("variants", nargs="+", help="of PyTorch, as ragged-8,compile")
    parser.add_argument("--weir", required=True, help="the test binary of engine/train")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--wait", action="store_true", help="print ready and wait for a line on stdin before the first round")
    args = parser.parse_intermixed_args()
    peers = start(args)
    if args.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    rounds = [[] for _ in peers]
    for _ in range(args.rounds):
        for peer, results in zip(peers, rounds):
            results.append(peer.round())
    for peer in peers:
        peer.stop()
    print(json.dumps(table(peers, rounds), indent=1))


if __name__ == "__main__":
    main()
