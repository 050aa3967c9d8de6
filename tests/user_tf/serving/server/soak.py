"""Send random requests to a served model for long, and watch the memory of the process.

    python -m tests.user_tf.serving.server.soak MODEL [REQUESTS]

MODEL is a folder of user_tf.export. After the first 5,000 requests (of fewer than 20,000 the first
quarter), which bring every size of buffers, memory may grow by 5 % at most.
"""

import pathlib
import sys
import time

import numpy as np
import tensorflow as tf

from user_tf.serving import layout
from user_tf.serving.loading import as_tensors, load
from user_tf.serving.request import Behavior, Request, to_arrays
from user_tf.serving.signatures import SIGNATURES

GROWTH = 0.05
FIRST = 5_000
WORDS = np.array([f"word{number}" for number in range(5_000)])


def _print(line):
    print(line, flush=True)


def memory_bytes():
    """Return the resident memory of this process."""
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def random_requests(draw, vocabulary):
    """Return 1 to 8 requests of any length, of both tasks."""

    def title():
        words = draw.choice(vocabulary, draw.integers(0, 25)).tolist()
        return " ".join([*words, str(draw.integers(10**9))] if draw.random() < 0.3 else words)

    def behavior(session):
        if draw.random() < 0.5:
            return Behavior(session, "", (title(),))
        return Behavior(session, "q " + title(), tuple(title() for _ in range(draw.integers(0, 5))))

    requests = []
    for _ in range(draw.integers(1, 9)):
        sessions = np.sort(draw.integers(1, 40, int(draw.exponential(30)))).tolist()
        requests.append(
            Request(
                user_id=str(draw.integers(1000)),
                query=title() if draw.random() < 0.5 else "",
                session=sessions[-1] if sessions else 1,
                history=tuple(map(behavior, sessions)),
                candidates=tuple(title() for _ in range(1 + int(draw.exponential(15)))),
            )
        )
    return requests


def arguments_of(signature, requests, features, signatures):
    """Return the arguments of a signature; a state comes from `encode_user`."""
    values = dict(to_arrays(requests, features))
    values["task"] = np.array([request.task for request in requests], object)
    values["document_ids"] = np.full_like(values["candidates"], "")
    if "state" in SIGNATURES[signature]:
        user = {name: values[name] for name in SIGNATURES["encode_user"]}
        values["state"] = signatures["encode_user"](**as_tensors(user))["state"].numpy()
    return as_tensors({name: values[name] for name in SIGNATURES[signature]})


def soak(signatures, vocabulary, requests, features=0, memory=memory_bytes, report=_print):
    """Send requests; return the growth of memory after the first ones, as a share.

    Args:
        signatures: Of a loaded SavedModel.
        vocabulary: Words of the texts, string array.
        requests: Number of requests.
        features: Number of features of F.
        memory: Returns bytes.
        report: Prints a line.
    """
    draw, sent, base, peak, begin = np.random.default_rng(0), 0, None, 0, time.monotonic()
    first = min(FIRST, requests // 4)
    names = sorted(set(signatures) & set(SIGNATURES))
    told = 0
    while sent < requests:
        batch = random_requests(draw, vocabulary)
        name = str(draw.choice(names))
        found = signatures[name](**arguments_of(name, batch, features, signatures))
        for value in found.values():
            if value.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(value)):
                raise AssertionError(f"{name} gave values that are not finite")
        sent += len(batch)
        peak = max(peak, memory())
        if base is None and sent >= first:
            base, peak = peak, 0
        if base is not None and (sent - told >= requests / 20 or sent >= requests):
            told = sent
            report(
                f"{sent} requests, {time.monotonic() - begin:.0f} s, {memory() / 2**20:.0f} MiB, "
                f"peak {peak / 2**20:.0f} MiB after {base / 2**20:.0f} MiB"
            )
    return peak / base - 1


def main(model, requests=100_000):
    """Soak a model and end with an error if memory grows."""
    version = layout.find_version(model)
    manifest = layout.read_manifest(version)
    signatures = load(version).signatures
    growth = soak(signatures, WORDS, requests, len(manifest["features"]))
    print(f"memory grew by {growth:.2%} after the first requests; {GROWTH:.0%} are accepted")
    return int(growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
