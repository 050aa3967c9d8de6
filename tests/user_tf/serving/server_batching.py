"""Lay requests together as TensorFlow Serving's batching does, from the rules of its code.

With `pad_variable_length_inputs` each array of a request is padded at the end of every axis but the
first, to the longest of the batch, with the array's own FIRST value (of an empty array: with whatever
lies in memory there). Arrays of one name must have one number of axes. The batch is the concatenation;
the answers are cut by the numbers of rows.
"""

import numpy as np

_IN_MEMORY = {np.dtype(object): "garbage", np.dtype(np.int64): 7, np.dtype(np.float32): 7.0}


def lay_together(requests):
    """Return one mapping from argument names to arrays, for a list of such mappings."""
    batch = {}
    for name in requests[0]:
        arrays = [request[name] for request in requests]
        (axes,) = {array.ndim for array in arrays}
        longest = [max(array.shape[axis] for array in arrays) for axis in range(axes)]
        batch[name] = np.concatenate([_pad(array, longest) for array in arrays])
    return batch


def _pad(array, longest):
    value = array.flat[0] if array.size else _IN_MEMORY[array.dtype]
    shape = (len(array), *longest[1:])
    result = np.full(shape, value, array.dtype)
    result[tuple(slice(size) for size in array.shape)] = array
    return result


def as_rest(arrays):
    """Return arrays of one request as REST's rows give them: an empty list has the shape [1, 0]."""
    lengths = {"history_titles": int(arrays["history_title_count"].sum())}
    for name, value in arrays.items():
        group = name.split("_")[0].removesuffix("s")
        if value.ndim > 1 and name != "features":
            lengths.setdefault(name, int(arrays[f"{group}_count"][0]))
    return {
        name: value[:, : lengths[name]] if name in lengths else value
        for name, value in arrays.items()
    }
