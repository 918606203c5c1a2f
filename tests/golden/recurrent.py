"""Makes recurrent.npz: bidirectional two-layer LSTM and GRU of PyTorch 2.13 on a padded batch."""

from pathlib import Path

import numpy as np
import torch

if __name__ == "__main__":
    torch.manual_seed(0)
    x, lengths = torch.randn(3, 4, 2), [4, 1, 3]
    golden = {"x": x.numpy(), "lengths": np.int32(lengths)}
    for name, kind in (("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)):
        module = kind(2, 3, num_layers=2, bidirectional=True, batch_first=True)
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        with torch.no_grad():
            y, state = module(packed)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
        golden |= {f"{name}/{key}": value.numpy() for key, value in module.state_dict().items()}
        golden |= {f"{name}/y": y.numpy(), f"{name}/h_n": (state[0] if name == "lstm" else state).numpy()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **golden)
