"""Sound: recordings, spoken sequences, LibriSpeech, log-mel spectrograms."""
