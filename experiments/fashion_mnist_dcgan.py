"""DCGAN on Fashion-MNIST.

Source: Radford et al. 2015, arXiv:1511.06434; Xiao et al. 2017, arXiv:1708.07747.
Run:    python -m experiments.fashion_mnist_dcgan                   (the 12,000 bundled images)
        python -m experiments.fashion_mnist_dcgan --folder PATH     (all 70,000, from IDX or npz files)
        python -m experiments.fashion_mnist_dcgan --folder PATH --classifier runs/fashion_mnist_cnn/<a run>
Cost:   2 minutes on one core of an x86 CPU, after compiling.
Expect: with --folder, on the 10,000 test images, by features of the sheet's CNN trained on the training split for an epoch,
        mean ± standard deviation over seeds 0-2; with other images measured in the same way:

                                       FID            KID                precision      recall         coverage
    generated images                   0.40 ± 0.04    0.012 ± 0.002      0.71 ± 0.01    0.18 ± 0.04    0.18 ± 0.02
    real images of the training split  0.001          0.000              0.96           0.96           0.96
    a Gaussian with the pixels' mean
        and covariance                 0.87           0.032              0.75           0.03           0.08
    noise                              15.6           1.164              0.00           0.00           0.00

After 800 updates the images look like clothes but do not cover all kinds: recall and coverage are low.
"""

from jaxdl import Experiment, main
from jaxdl.data.image import vision
from jaxdl.losses.adversarial import nonsaturating
from jaxdl.models.gan import DCGANCritic, DCGANGenerator
from jaxdl.optim import adam
from jaxdl.runs.judge import judge
from jaxdl.tasks.adversarial import Adversarial


def config(
    *,
    folder: str | None = None,
    conditional: bool = False,
    classifier: str = "",
    classifier_epochs: int = 1,
    updates: int = 800,
    batch: int = 64,
    width: int = 32,
    latent: int = 100,
    lr: float = 2e-4,
    critic_lr: float = 2e-4,
    b1: float = 0.5,
    seed: int = 0,
) -> Experiment:
    """DCGAN on Fashion-MNIST, with the paper's learning rates.

    Args:
        folder: folder of the IDX files (gzipped or not) or of the npz file; none: the 12,000 images that are bundled.
        conditional: condition both players on the label.
        classifier: run folder of a classifier of these images, whose features measure the generated images; or a folder of
            imported weights; empty: train one.
        classifier_epochs: epochs of that classifier, which is trained at the first evaluation.
        updates: number of updates of each player.
        batch: examples per update.
        width: channels of the generator's last hidden map and of the critic's first.
        latent: dimension of the noise.
        lr: learning rate of the generator.
        critic_lr: learning rate of the critic.
        b1: decay of Adam's first moment (β₁).
        seed: random seed of the initialization, the data order and the noise.
    """
    data = vision.fashion_mnist(batch=batch, folder=folder) if folder else vision.clothing(batch=batch)
    data = vision.symmetric(data, validation=2000 if folder else None)
    classes = 10 if conditional else None
    task = Adversarial(
        DCGANGenerator((28, 28, 1), width, classes),
        DCGANCritic(width, classes),
        loss=nonsaturating,
        latent=latent,
        conditional=conditional,
        measures=(judge(data, classifier, epochs=classifier_epochs),),
        metric=("fid", "min"),
    )
    return Experiment(
        data=data,
        task=task,
        optimizer={"generator": adam(lr, b1=b1), "critic": adam(critic_lr, b1=b1)},
        steps=updates,
        eval_every=max(1, updates // 8),
        ema=0.99,
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
