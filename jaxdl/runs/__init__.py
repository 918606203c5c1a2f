"""Train an experiment, load a run, sweep knobs, fine-tune from other weights, judge generated images."""
