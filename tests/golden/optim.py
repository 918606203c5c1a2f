"""Ten steps of other people's optimizers, PyTorch's schedules, plateau and clipping: makes `optim.npz`.

    pip install torch==2.13.0 timm schedulefree prodigyopt && python tests/golden/optim.py

What PyTorch gives is also run live by tests/optim with `-m parity`; the other packages only here (timm 1.0.31,
schedulefree 1.4.1, prodigyopt 1.1.2). The kernel is decayed, the bias is not.
"""

import sys
from pathlib import Path

import numpy as np

STEPS = 10
random = np.random.RandomState(0)
START = {"kernel": random.randn(4, 3).astype("f4"), "bias": random.randn(3).astype("f4")}
NOISE = [{name: random.randn(*w.shape).astype("f4") for name, w in START.items()} for _ in range(STEPS)]


def pull(noise, params):
    """Noise plus a pull to zero, so that an error in the parameters feeds back."""
    return {name: noise[name] + 0.3 * w for name, w in params.items()}


def gradient(params, t):
    return pull(NOISE[t], params)


def falling(t):
    """The learning rate of the cases where it must change to tell two forms apart."""
    return 0.05 * 0.8**t


# name -> (PyTorch class, its arguments, decay of the kernel)
TORCH = {
    "sgd": ("SGD", {"lr": 0.05}, 0.0),
    "sgd_decay": ("SGD", {"lr": 0.05}, 0.1),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}, 0.1),
    "nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, 0.1),
    "adagrad": ("Adagrad", {"lr": 0.05}, 0.1),
    "rmsprop": ("RMSprop", {"lr": 0.05}, 0.0),
    "rmsprop_momentum": ("RMSprop", {"lr": 0.05, "momentum": 0.9, "alpha": 0.9}, 0.1),
    "adam": ("Adam", {"lr": 0.05}, 0.0),
    "adam_decay": ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}, 0.1),
    "adamw": ("AdamW", {"lr": 0.05}, 0.1),
    "nadam": ("NAdam", {"lr": 0.05, "decoupled_weight_decay": True}, 0.1),
    "adafactor": ("Adafactor", {"lr": 0.05}, 0.1),
    "adafactor_capped": ("Adafactor", {"lr": 0.5, "d": 1.5}, 0.0),
    "muon": ("Muon", {"lr": 0.05}, 0.1),
    "muon_rms": ("Muon", {"lr": 0.05, "adjust_lr_fn": "match_rms_adamw", "nesterov": False}, 0.1),
}
PACKAGES = ("lamb", "lamb_always", "lion", "adan", "rmsprop_tf", "schedule_free_adamw", "schedule_free_sgd", "prodigy")


def groups(params, decay):
    return [
        {"params": [params["kernel"]], "weight_decay": decay},
        {"params": [params["bias"]], "weight_decay": 0.0},
    ]


def run(make, schedule=None, transpose=False):
    """Step STEPS times; the parameters and every array of the state, by name."""
    import torch

    params = {name: torch.nn.Parameter(torch.tensor(w)) for name, w in START.items()}
    if transpose:  # PyTorch's layout, where it matters
        params["kernel"] = torch.nn.Parameter(params["kernel"].detach().T.clone())
    optimizers = make(params)

    def arrays():
        return {k: (p.T if transpose and k == "kernel" else p).detach().numpy().copy() for k, p in params.items()}

    for t in range(STEPS):
        for name, g in gradient(arrays(), t).items():
            params[name].grad = torch.tensor(g.T.copy() if transpose and name == "kernel" else g)
        for optimizer in optimizers:
            for group in optimizer.param_groups if schedule else ():
                group["lr"] = schedule(t)
            optimizer.step()
    result = arrays()
    for optimizer in optimizers:
        for name, p in params.items():
            for key, value in optimizer.state.get(p, {}).items():
                if isinstance(value, torch.Tensor) and key != "step":
                    flip = transpose and name == "kernel"
                    result[f"{name}/{key}"] = (value.T if flip else value).detach().numpy().copy()
    if hasattr(optimizers[0], "eval"):
        optimizers[0].eval()
        result |= {f"{name}/eval": w for name, w in arrays().items()}
    return result


def torch_case(name):
    import torch

    kind, arguments, decay = TORCH[name]
    if kind != "Muon":
        return run(lambda params: [getattr(torch.optim, kind)(groups(params, decay), **arguments)])
    bfloat16 = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = torch.Tensor.clone  # its iteration in float32, to compare more than three digits
    try:
        return run(
            lambda params: [
                torch.optim.Muon([params["kernel"]], weight_decay=decay, **arguments),
                torch.optim.AdamW([params["bias"]], lr=arguments["lr"], weight_decay=0.0),
            ],
            transpose=True,
        )
    finally:
        torch.Tensor.bfloat16 = bfloat16


def package_case(name):
    import prodigyopt
    import schedulefree
    from timm.optim.adan import Adan
    from timm.optim.lamb import Lamb
    from timm.optim.lion import Lion
    from timm.optim.rmsprop_tf import RMSpropTF

    def training(optimizer):
        optimizer.train()
        return [optimizer]

    return {
        "lamb": lambda: run(lambda p: [Lamb(groups(p, 0.1), lr=0.05)]),
        "lamb_always": lambda: run(
            lambda p: [Lamb(groups(p, 0.1), lr=0.05, max_grad_norm=None, always_adapt=True, trust_clip=True)]
        ),
        "lion": lambda: run(lambda p: [Lion(groups(p, 0.1), lr=0.05)]),
        "adan": lambda: run(lambda p: [Adan(groups(p, 0.1), lr=0.05, no_prox=True)]),
        "rmsprop_tf": lambda: run(lambda p: [RMSpropTF(groups(p, 0.1), lr=0.05, momentum=0.9, eps=1e-3)], falling),
        "schedule_free_adamw": lambda: run(
            lambda p: training(schedulefree.AdamWScheduleFree(groups(p, 0.1), lr=0.05, warmup_steps=4))
        ),
        "schedule_free_sgd": lambda: run(
            lambda p: training(schedulefree.SGDScheduleFree(groups(p, 0.1), lr=0.05, momentum=0.8))
        ),
        "prodigy": lambda: run(lambda p: [prodigyopt.Prodigy(groups(p, 0.1), lr=1.0, d0=1e-3)]),
    }[name]()


LENGTH = 40
# name -> (PyTorch class, its arguments), from a peak of 0.5
SCHEDULES = {
    "constant": ("LambdaLR", {"lr_lambda": lambda t: 1.0}),
    "linear_warmup": ("LinearLR", {"start_factor": 0.2, "total_iters": 8}),
    "step": ("StepLR", {"step_size": 7, "gamma": 0.3}),
    "multistep": ("MultiStepLR", {"milestones": [5, 20], "gamma": 0.3}),
    "exponential": ("ExponentialLR", {"gamma": 0.9}),
    "polynomial": ("PolynomialLR", {"total_iters": 30, "power": 2.0}),
    "cosine": ("CosineAnnealingLR", {"T_max": LENGTH, "eta_min": 0.1}),
    "cosine_restarts": ("CosineAnnealingWarmRestarts", {"T_0": 13, "eta_min": 0.1}),
    "cosine_restarts_growing": ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.1}),
    "one_cycle": ("OneCycleLR", {"max_lr": 0.5, "total_steps": LENGTH, "pct_start": 0.25, "cycle_momentum": False}),
}


def schedule_case(name):
    import torch

    kind, arguments = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule, values = getattr(torch.optim.lr_scheduler, kind)(optimizer, **arguments), []
    for _ in range(LENGTH):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(values) < LENGTH:
            schedule.step()
    return np.array(values)


# arguments of PyTorch's ReduceLROnPlateau, of which `min_lr` is our `min_scale` for a rate of 1
PLATEAU = [{"factor": 0.5, "patience": 2, "threshold": 1e-3} | more for more in ({}, {"cooldown": 3})]
PLATEAU += [PLATEAU[0] | {"patience": 0, "min_lr": 0.05}]
LOSSES = np.random.RandomState(1).rand(60).astype("f4") + np.linspace(1, 0.5, 60, dtype="f4")


def plateau_case(settings):
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    plateau, rates = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **settings), []
    for loss in LOSSES:
        plateau.step(float(loss))
        rates.append(optimizer.param_groups[0]["lr"])
    return np.array(rates)


CLIP = [{"norm": 1.0}, {"norm": 100.0}, {"value": 0.3}]


def clip_case(limits):
    """START as a gradient, clipped."""
    import torch

    weights = {name: torch.nn.Parameter(torch.tensor(w)) for name, w in START.items()}
    for w in weights.values():
        w.grad = w.detach().clone()
    if "norm" in limits:
        torch.nn.utils.clip_grad_norm_(weights.values(), limits["norm"])
    else:
        torch.nn.utils.clip_grad_value_(weights.values(), limits["value"])
    return {name: w.grad.numpy() for name, w in weights.items()}


def torch_arrays():
    """Everything by PyTorch alone."""
    arrays = {f"{name}/{key}": a for name in TORCH for key, a in torch_case(name).items()}
    arrays |= {f"schedule/{name}": schedule_case(name) for name in SCHEDULES}
    arrays |= {f"plateau/{i}": plateau_case(settings) for i, settings in enumerate(PLATEAU)}
    return arrays | {f"clip/{i}/{key}": a for i, limits in enumerate(CLIP) for key, a in clip_case(limits).items()}


if __name__ == "__main__":
    path = Path(__file__).with_suffix(".npz")
    arrays = torch_arrays() | {f"{name}/{key}": a for name in PACKAGES for key, a in package_case(name).items()}
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(arrays)} arrays, {path.stat().st_size} bytes", file=sys.stderr)
