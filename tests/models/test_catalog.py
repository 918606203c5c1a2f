"""Every named configuration against the world's counts, abstractly: full size, no memory, no compilation."""

from functools import partial

import pytest

from jaxdl.cli import models
from jaxdl.inspect.flops import counts, rows
from jaxdl.models.catalog import MODELS
from jaxdl.models.inception import GoogLeNet, GoogLeNetPaper
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.vit import vit
from jaxdl.types import UserError
from tests.tables import rows as table_rows

# name: parameters, batch statistics, and 10⁹ multiply-adds where published.
# Counts of torchvision 0.29, timm 1.0 and, where neither has the model, of the paper's tables in closed form;
# multiply-adds are those in torchvision's weight metadata.
COUNTS = {
    "alexnet": (61_100_840, 0, 0.714),
    "alexnet_2012": (60_965_224, 0, None),
    "vgg11": (132_863_336, 0, 7.609),
    "vgg13": (133_047_848, 0, 11.308),
    "vgg16": (138_357_544, 0, 15.470),
    "vgg19": (143_667_240, 0, 19.632),
    "vgg11_bn": (132_868_840, 5_504, 7.609),
    "vgg13_bn": (133_053_736, 5_888, 11.308),
    "vgg16_bn": (138_365_992, 8_448, 15.470),
    "vgg19_bn": (143_678_248, 11_008, 19.632),
    "resnet18": (11_689_512, 9_600, 1.814),
    "resnet34": (21_797_672, 17_024, 3.664),
    "resnet50": (25_557_032, 53_120, 4.089),
    "resnet101": (44_549_160, 105_344, 7.801),
    "resnet152": (60_192_808, 151_424, 11.514),
    "resnet18d": (11_708_744, 9_728, None),
    "resnet34d": (21_816_904, 17_152, None),
    "resnet50d": (25_576_264, 53_248, None),
    "resnet101d": (44_568_392, 105_472, None),
    "resnet152d": (60_212_040, 151_552, None),
    "seresnet50": (28_088_024, 53_120, None),
    "resnetv2_50": (25_549_352, 45_440, None),
    "resnext50_32x4d": (25_028_904, 68_224, 4.230),
    "wide_resnet50_2": (68_883_240, 68_224, 11.398),
    "cifar_resnet20": (269_722, 1_376, None),
    "cifar_resnet32": (464_154, 2_272, None),
    "cifar_resnet44": (658_586, 3_168, None),
    "cifar_resnet56": (853_018, 4_064, None),
    "cifar_resnet110": (1_727_962, 8_096, None),
    "cifar_resnet18": (11_173_962, 9_600, None),
    "wide_resnet16_4": (2_748_890, 3_616, None),
    "wide_resnet28_10": (36_479_194, 17_952, None),
    "wide_resnet40_2": (2_243_546, 5_408, None),
    "iresnet18": (24_025_600, 14_720, None),  # insightface's arcface_torch, the fixed scale of the last norm counted
    "iresnet34": (34_139_328, 25_856, None),
    "iresnet50": (43_590_848, 38_144, 6.309),
    "iresnet100": (65_156_160, 69_632, 12.09),
    "iresnet200": (118_833_920, 136_064, None),
    "googlenet": (6_624_904, 14_560, 1.498),
    "googlenet_paper": (6_998_552, 0, None),
    "inception_v3": (23_834_568, 34_432, 5.713),
    "mobilenet_v1": (4_231_976, 21_888, None),
    "mobilenet_v1_125": (6_270_840, 27_360, None),
    "mobilenet_v2": (3_504_872, 34_112, 0.301),
    "mobilenet_v2_050": (1_968_680, 18_544, None),
    "mobilenet_v2_140": (6_108_776, 47_936, None),
    "mobilenet_v3_large": (5_483_032, 24_400, 0.217),
    "mobilenet_v3_large_075": (3_993_528, 19_088, None),
    "mobilenet_v3_large_minimal": (3_924_288, 24_400, None),
    "mobilenet_v3_small": (2_542_856, 12_112, 0.057),
    "mobilenet_v3_small_075": (2_041_872, 9_680, None),
    "mobilenet_v3_small_050": (1_593_224, 6_496, None),
    "mobilenet_v3_small_minimal": (2_044_736, 12_112, None),
    "efficientnet_b0": (5_288_548, 42_016, 0.386),
    "efficientnet_b1": (7_794_184, 62_048, 0.687),
    "efficientnet_b2": (9_109_994, 67_568, None),
    "efficientnet_b3": (12_233_232, 87_296, 1.827),
    "efficientnet_b4": (19_341_616, 125_200, 4.394),
    "efficientnet_b5": (30_389_784, 172_736, 10.266),
    "efficientnet_b6": (43_040_704, 224_432, 19.068),
    "efficientnet_b7": (66_347_960, 310_720, 37.746),
    "efficientnet_lite0": (4_652_008, 42_016, None),
    "vit_ti_8": (5_719_720, 0, None),
    "vit_ti_16": (5_717_416, 0, None),
    "vit_ti_32": (6_131_560, 0, None),
    "vit_s_8": (22_055_272, 0, None),
    "vit_s_16": (22_050_664, 0, None),
    "vit_s_32": (22_878_952, 0, None),
    "vit_b_8": (86_576_872, 0, None),
    "vit_b_16": (86_567_656, 0, 17.564),
    "vit_b_32": (88_224_232, 0, 4.409),
    "vit_l_16": (304_326_632, 0, 61.555),
    "vit_l_32": (306_535_400, 0, 15.378),
    "vit_h_14": (632_045_800, 0, None),
    "vit_ti_16_384": (5_790_376, 0, None),
    "vit_b_16_384": (86_859_496, 0, None),
    "vit_l_16_384": (304_715_752, 0, None),
    "deit_ti_16_distilled": (5_910_800, 0, None),
    "deit_s_16_distilled": (22_436_432, 0, None),
    "deit_b_16_distilled": (87_338_192, 0, None),
    "vit_s_16_gap": (22_122_472, 0, None),
    "bert_base": (109_482_240, 0, None),
    "bert_large": (335_141_888, 0, None),
    "bert_base_encoder": (108_891_648, 0, None),
    "bert_base_mlm": (109_514_298, 0, None),
    "bert_base_classifier": (109_483_778, 0, None),
    "distilbert": (66_362_880, 0, None),
    "distilbert_mlm": (66_985_530, 0, None),
    "distilbert_classifier": (66_955_010, 0, None),
    "gpt2": (124_439_808, 0, None),
    "gpt2_medium": (354_823_168, 0, None),
    "gpt2_large": (774_030_080, 0, None),
    "gpt2_xl": (1_557_611_200, 0, None),
    "nanogpt_char": (10_745_088, 0, None),
    "nanogpt_cpu": (804_096, 0, None),
    "t5_small": (60_506_624, 0, None),
    "t5_base": (222_903_552, 0, None),
    "t5_large": (737_668_096, 0, None),
    "t5_v1_1_small": (76_961_152, 0, None),
    "t5_v1_1_base": (247_577_856, 0, None),
    # Hugging Face counts Marian's two fixed tables of sines and not its bias on the logits
    "marian": (74_410_496 - 2 * 512 * 512 + 58_101, 0, None),
    "transformer_base": (63_082_496, 0, None),
    "transformer_big": (214_245_376, 0, None),
}
FEW = ("alexnet", "vgg11_bn", "cifar_resnet20", "vit_ti_16", "nanogpt_cpu")


def test_the_table_names_every_configuration():
    assert set(COUNTS) == set(MODELS)


@pytest.mark.parametrize("name", COUNTS)
def test_the_file_that_the_command_reads_has_the_worlds_counts(name):
    """`python -m jaxdl models` shows catalog.json; that the file is what the models are is the next test."""
    params, batch_stats, billions = COUNTS[name]
    (row,) = (row for row in models.read() if row["name"] == name)
    assert (row["params"], row["batch_stats"]) == (params, batch_stats)
    if billions is not None:
        assert row["multiply_adds"] / 1e9 == pytest.approx(billions, rel=0.01)
    assert row["input"] == list(MODELS[name].input)
    assert row["source"]


@table_rows({name: name for name in COUNTS}, default=FEW)
def test_the_file_is_what_the_models_are(row):
    """Counted again, abstractly: seconds of tracing for the deep ones."""
    (counted,) = rows(MODELS, [row])
    assert counted == next(kept for kept in models.read() if kept["name"] == row)


OPTIONS = {
    "googlenet": (GoogLeNet(aux=True), 224, 13_004_888, 15_072),
    "googlenet of the paper": (GoogLeNetPaper(aux=True), 224, 13_378_280, 0),
    "inception v3": (InceptionV3(aux=True), 299, 27_161_264, 36_224),
    "vit": (vit("s", pool="average", positions="sincos"), 224, 21_974_632, 0),
}


@table_rows(OPTIONS, default=["vit"])
def test_counts_of_options(row):
    model, image, params, batch_stats = row
    counted = counts(model, (image, image, 3))
    assert (counted["params"], counted["batch_stats"]) == (params, batch_stats)


@pytest.mark.slow
def test_efficientnet_b2_at_torchvisions_resolution():
    row = counts(MODELS["efficientnet_b2"].build(), (288, 288, 3))
    assert row["multiply_adds"] / 1e9 == pytest.approx(1.088, rel=0.01)


def test_classes_change_the_head_only():
    one, ten = (counts(MODELS["cifar_resnet20"].build(classes=k), (32, 32, 3))["params"] for k in (1, 10))
    assert ten - one == 9 * 65


def test_unknown_name():
    with pytest.raises(UserError, match=r"'resnet51'.*resnet50"):
        next(rows(MODELS, ["resnet51"]))
    with pytest.raises(UserError, match=r"depth=51.*18, 34, 50, 101, 152"):
        partial(MODELS["resnet50"].build.func, 51)()
