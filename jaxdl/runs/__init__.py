"""What one does with an experiment: train it, load a run, sweep its knobs, start from other weights, judge images."""
