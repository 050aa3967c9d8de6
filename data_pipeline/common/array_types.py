"""Types of arrays that travel between rooms."""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

Columns = dict[str, Integers]
"""Columns of a table of integers, by name, all of one length."""
