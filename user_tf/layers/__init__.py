"""Keras 3 layers of USER and shared blocks, one public class a file, keras.ops only."""
