"""Train a LoRA on a data set: one plain loop, its losses, checkpoints and held-out evaluation."""
