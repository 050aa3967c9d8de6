"""USER's own encoders and scorer, in the order of the paper's stages."""
