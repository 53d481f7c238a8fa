"""What the Python scripts share: where the servers are, and how a check is reported to the Go test that runs the script."""

import json
import os
import time
import traceback
import urllib.request

URL, KEY = os.environ["WEIR_URL"], os.environ["WEIR_KEY"]
NARROW_URL = os.environ["WEIR_NARROW_URL"]
MODEL = os.environ["WEIR_MODEL"]

QUESTION = "What is 17 + 25?"
PROMPT = "Count: one, two, three"
SHORT = 24  # tokens: several chunks, and within the context of the smallest test model
PATIENCE = 20.0  # seconds, for what the server must bring about


def run(*checks):
    """Runs the checks in order; each is one line of JSON on standard output. The last line says that the end was reached."""
    for check in checks:
        detail = ""
        try:
            check()
        except BaseException:
            detail = traceback.format_exc()
        print(json.dumps({"check": check.__name__, "ok": not detail, "detail": detail}), flush=True)
    print(json.dumps({"check": "", "ok": True}), flush=True)


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def raises(kind, call, **attributes):
    """Calls, and checks the exception and its attributes."""
    try:
        answer = call()
    except kind as e:
        for name, want in attributes.items():
            got = getattr(e, name)
            assert got == want, f"{name} is {got!r}, want {want!r}; body {e.body!r}"
        return e
    raise AssertionError(f"no {kind.__name__}, but {answer!r}")


def tokenize(**body):
    """Asks /tokenize, for which SDKs have no method."""
    request = urllib.request.Request(
        URL + "/tokenize",
        json.dumps({"model": MODEL, **body}).encode(),
        {"Authorization": "Bearer " + KEY, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def metric(name, label=""):
    """Sums the samples of a name whose labels hold label."""
    request = urllib.request.Request(URL + "/metrics", headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request) as response:
        lines = response.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return sum(float(value) for labels, value in samples if labels.split("{")[0] == name and label in labels)


class Deadline:
    """PATIENCE from now on."""

    def __init__(self):
        self.at = time.monotonic() + PATIENCE

    def check(self, what):
        assert time.monotonic() < self.at, f"{what} within {PATIENCE} s"


def piece(whole):
    """Takes two characters from the middle of an answer as a stop string, and gives what is left before them."""
    for i in range(len(whole) // 2, len(whole) - 1):
        end = whole[i : i + 2]
        if "\ufffd" not in end:
            return end, whole.split(end, 1)[0]
    raise AssertionError(f"the answer {whole!r} has no two characters to stop at")
