"""Serialised examples, against TensorFlow's own messages."""

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.dataset.tf_examples import examples, varints


def messages(fields, count):
    """The same messages, made one by one."""
    for number in range(count):
        example = tf.train.Example()
        for name, (values, edges) in fields.items():
            part = values[edges[number] : edges[number + 1]].ravel()
            feature = example.features.feature[name]
            kept = feature.float_list if part.dtype.kind == "f" else feature.int64_list
            kept.value.extend(part.tolist())
        yield example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("seed", range(5))
def test_examples_have_the_bytes_of_tensorflow(seed):
    draw, count, fields = np.random.default_rng(seed), 40, {}
    for number, most in enumerate((2, 2**7, 2**14 + 2, 2**21 + 2, 2**40, 2**62)):
        width, sizes = draw.integers(1, 4), draw.integers(0, 60, count)
        edges = np.concatenate([[0], np.cumsum(sizes)])
        fields[f"integers_{number}"] = draw.integers(0, most, (edges[-1], width)), edges
    edges = np.concatenate([[0], np.cumsum(draw.integers(0, 9, count))])
    fields["floats"] = draw.standard_normal((edges[-1], 18)).astype(np.float32), edges
    assert list(examples(fields)) == list(messages(fields, count))


@pytest.mark.parametrize("value", [0, 127, 128, 16383, 16384, 2**62])
def test_a_varint_is_read_back(value):
    encoded, begins = varints(np.array([value]))
    assert sum((int(byte) & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == value
    assert (encoded[:-1] >= 0x80).all() and encoded[-1] < 0x80 and begins[-1] == len(encoded)
