"""Both stages of the paper's training, from annotated scenes to a model folder."""
