"""SplitMix64 in NumPy; `data_pipeline.batching.keyed_draws` is the same in TensorFlow.

Reference: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
"""

import numpy as np
import numpy.typing as npt


def keyed(*keys: npt.NDArray | int) -> npt.NDArray[np.uint64]:
    """Hash several integer keys, which broadcast against each other, to one uint64.

    Args:
        *keys: Integers of 64 bits, or arrays of them.

    Returns:
        uint64 of the shape the keys broadcast to; every bit depends on all bits of all keys.

    Raises:
        OverflowError: A Python integer does not fit into int64.
        ValueError: The shapes do not broadcast.

    Example:
        The first number of the generator with seed 1234567, and one of several keys alone:

        >>> int(keyed(1234567))
        6457827717110365317
        >>> bool(keyed(1, np.arange(3))[2] == keyed(1, 2))
        True
    """
    state = np.zeros((), np.uint64)
    # Sums and products wrap by design; NumPy would warn of it if all keys are scalars.
    with np.errstate(over="ignore"):
        for key in keys:
            state = state + np.asarray(key, np.int64).astype(np.uint64)
            state = state + np.uint64(0x9E3779B97F4A7C15)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
            state = state ^ (state >> np.uint64(31))
    return state
