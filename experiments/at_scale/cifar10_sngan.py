"""SNGAN and its conditional form with a projection on CIFAR-10, in mimicry's setting.

Source: Miyato et al. 2018, arXiv:1802.05957; Miyato and Koyama 2018, arXiv:1802.05637; Lee and Town 2020, arXiv:2005.02494.
Run:    python -m experiments.cifar10_sngan --folder PATH --classifier INCEPTION
        python -m experiments.cifar10_sngan --folder PATH --conditional
Cost:   100,000 updates of the generator and 500,000 of the critic, a GPU's work; not measured here.
Expect: FID on Inception's features (published, mimicry): 16.77, conditional 10.84; not measured here.

INCEPTION is the folder that `python -m jaxdl import-weights inception_v3 FILE -o INCEPTION` writes from torchvision's weights.
The published numbers use TensorFlow's Inception, 50,000 generated images and the whole training set, so they are comparable only
approximately; the report names the weights and the preprocessing. Without --classifier a small CNN is trained on CIFAR-10.
"""

from jaxdl import Experiment, main
from jaxdl.augment import image
from jaxdl.data.image import vision
from jaxdl.losses.adversarial import hinge
from jaxdl.models.gan_resnet import ResNetCritic, ResNetGenerator
from jaxdl.optim import adam, schedules
from jaxdl.runs.judge import judge
from jaxdl.tasks.adversarial import Adversarial


def config(
    *,
    folder: str | None = None,
    conditional: bool = False,
    classifier: str = "",
    classifier_epochs: int = 10,
    updates: int = 100_000,
    critic_steps: int = 5,
    batch: int = 64,
    width: int = 256,
    critic_width: int = 128,
    latent: int = 128,
    lr: float = 2e-4,
    flip: bool = False,
    seed: int = 0,
) -> Experiment:
    """SNGAN on CIFAR-10.

    Args:
        folder: folder of the binary version or of the npz file; none: tensorflow-datasets, if prepared.
        conditional: condition both players on the label (a projection in the critic).
        classifier: a folder of imported Inception weights, or a run folder of a classifier of these images; empty: a CNN is
            trained.
        classifier_epochs: epochs of that classifier, which is trained at the first evaluation.
        updates: number of updates of the generator.
        critic_steps: updates of the critic per update of the generator.
        batch: examples per update.
        width: channels of the generator.
        critic_width: channels of the critic.
        latent: dimension of the noise.
        lr: peak learning rate of both players, falling to zero in a line.
        flip: mirror half of the real images.
        seed: random seed of the initialization, the data order and the noise.
    """
    data = vision.symmetric(vision.cifar10(batch=batch, folder=folder))
    classes = 10 if conditional else None
    task = Adversarial(
        ResNetGenerator(width, (width,) * 3, classes=classes),
        ResNetCritic((critic_width,) * 4, classes=classes),
        loss=hinge,
        latent=latent,
        critic_steps=critic_steps,
        conditional=conditional,
        measures=(judge(data, classifier, epochs=classifier_epochs),),
        metric=("fid", "min"),
    )
    falling = schedules.polynomial(lr, steps=updates)
    critic_falling = schedules.polynomial(lr, steps=updates * critic_steps)  # its optimizer counts its own updates
    return Experiment(
        data=data,
        augment=(image.flip(),) if flip else (),
        task=task,
        optimizer={"generator": adam(falling, b1=0.0, b2=0.9), "critic": adam(critic_falling, b1=0.0, b2=0.9)},
        steps=updates,
        eval_every=max(1, updates // 20),
        seed=seed,
    )


if __name__ == "__main__":
    main(config)
