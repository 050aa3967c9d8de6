"""A SavedModel holds every value once."""

import collections

import tensorflow as tf


def test_no_value_is_stored_twice(saved_model, copies):
    reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    floats = [
        name
        for name, dtype in reader.get_variable_to_dtype_map().items()
        if dtype == tf.float32 and shapes[name]
    ]
    contents = collections.Counter(reader.get_tensor(name).tobytes() for name in floats)
    assert max(contents.values()) == 1
    kernels = [
        ranker.session_encoder.transformer.blocks[0].attention.key_kernel
        for ranker in copies.values()
    ]
    graph = (saved_model / "saved_model.pb").read_bytes()
    for value in {kernel.numpy().tobytes() for kernel in kernels}:
        # All signatures share the function of the constants.
        assert contents[value] == 0 and graph.count(value) == 1
    users = copies["search"].user_embedding.embeddings.shape
    assert sum(tuple(shapes[name]) == tuple(users) for name in floats) == 1


def test_the_graph_holds_no_tables(saved_model, copies):
    smallest = copies["search"].user_embedding.embeddings.numpy().tobytes()
    words = copies["search"].word_embedding.embeddings.numpy().tobytes()
    graph = (saved_model / "saved_model.pb").read_bytes()
    assert smallest not in graph and words not in graph
