"""Families of convolutional networks."""

from jaxdl.site.sheet.entry import SheetEntry, SheetGroup

COUNTS = "tests/models/test_catalog.py::test_the_file_that_the_command_reads_has_the_worlds_counts"
STEPS = "tests/models/test_vision.py::test_features_by_name"

GROUP = SheetGroup(
    "CNN families",
    (
        SheetEntry(
            10,
            "alexnet",
            "AlexNet",
            "five convolutions and three dense layers",
            "The network that won ImageNet in 2012. Large filters first (11x11 with stride 4), then 5x5 and 3x3, ReLU "
            "everywhere, dropout before the dense layers, which hold most of the 61 million weights.",
            "Use it as a historical baseline. Newer families reach more with fewer weights.",
            r"\mathrm{image} \to 5 \times (\mathrm{conv},\, \mathrm{ReLU}) \to 3 \times \mathrm{dense} \to \mathrm{softmax}",
            ("models.alexnet:AlexNet",),
            (COUNTS, "tests/models/test_vision.py::test_local_response_norm_against_pytorch"),
            "Krizhevsky et al. 2012, NeurIPS; one tower: Krizhevsky 2014, arXiv:1404.5997",
            "torchvision.models.alexnet()",
            "AlexNet()",
            sample=(224, 224, 3),
            experiments=("digits_families", "imagenet_alexnet"),
            claims=(13,),
            related=("typical-cnn", "vgg", "dropout", "relu"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            11,
            "vgg",
            "VGG",
            "stacks of 3x3 convolutions",
            "VGG uses one block again and again: two to four 3x3 convolutions, then pooling. Two 3x3 filters see as far as one "
            "5x5 filter, with fewer weights and one activation more.",
            "Use its features for style and perceptual losses. For classification take a ResNet, which is smaller and trains "
            "deeper.",
            r"\mathrm{receptive\ field\ of\ } n \mathrm{\ filters\ of\ } 3 \times 3: \quad (2n + 1) \times (2n + 1)",
            ("models.vgg:VGG", "models.vgg:vgg"),
            (COUNTS, "tests/layers/test_arithmetic.py::test_receptive_field"),
            "Simonyan and Zisserman 2014, arXiv:1409.1556",
            "torchvision.models.vgg16()",
            "vgg(16)",
            sample=(224, 224, 3),
            experiments=("digits_families", "imagenet_vgg16"),
            claims=(13,),
            related=("alexnet", "resnet", "convolution"),
            aliases=("VGG16", "VGG-16", "VGG19"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            12,
            "resnet",
            "ResNet",
            "shortcuts around every block",
            "Each block of a residual network adds a correction to its input. The shortcut lets values and gradients pass "
            "unchanged, so that networks of 18 to 152 layers can be trained.",
            "Use it first for images: ResNet-18 for small tasks, ResNet-50 for large ones. It needs batch norm, or another "
            "norm for small batches.",
            r"y = \phi(x + F(x))",
            ("models.resnet:Residual", "models.resnet:ResNet", "models.resnet:resnet"),
            (
                COUNTS,
                "tests/models/test_vision.py::test_a_block_without_shortcut_is_its_body",
                "tests/models/test_vision.py::test_zero_last_makes_the_block_the_identity",
            ),
            "He et al. 2015, arXiv:1512.03385",
            "torchvision.models.resnet50()",
            "resnet(50)",
            sample=(224, 224, 3),
            experiments=("digits_resnet", "fashion_mnist_resnet", "cifar10_resnet18", "imagenet_resnet50"),
            claims=(14,),
            related=("vgg", "batch-norm", "computer-vision", "efficientnet"),
            aliases=("residual network", "skip connection", "ResNet-18", "ResNet-50", "ResNet-152"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            13,
            "inception",
            "Inception",
            "filters of several sizes beside each other",
            "A module runs 1x1, 3x3 and 5x5 convolutions and a pooling on the same input and joins the results. 1x1 convolutions "
            "first reduce the channels, which keeps the module cheap.",
            "Use version 3 where its features are asked for, as by the Fréchet inception distance. Else a ResNet is simpler.",
            r"y = [\,F_{1 \times 1}(x);\; F_{3 \times 3}(x);\; F_{5 \times 5}(x);\; F_{\mathrm{pool}}(x)\,]",
            ("models.inception:Module", "models.inception:GoogLeNet", "models.inception_v3:InceptionV3"),
            (COUNTS, "tests/models/test_vision.py::test_auxiliary_logits_cost_nothing_unless_asked"),
            "Szegedy et al. 2014, arXiv:1409.4842; v3: Szegedy et al. 2015, arXiv:1512.00567",
            "torchvision.models.googlenet(aux_logits=False)",
            "GoogLeNet()",
            sample=(224, 224, 3),
            experiments=("digits_families", "imagenet_inception_v3"),
            claims=(15,),
            related=("vgg", "resnet", "pooling"),
            aliases=("GoogLeNet", "Inception v3"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            14,
            "mobilenet",
            "MobileNet",
            "depthwise and 1x1 convolutions",
            "A depthwise convolution filters each channel alone, then a 1x1 convolution mixes the channels. With k x k filters "
            "and c output channels, both together cost 1/c + 1/k² of a full convolution. Version 2 adds shortcuts between "
            "narrow layers.",
            "Use it on phones and other small devices. `width` makes it narrower. On a CPU fewer multiply-adds need not mean "
            "less time: measure.",
            r"\frac{\mathrm{cost}_{\mathrm{separable}}}{\mathrm{cost}_{\mathrm{full}}} = "
            r"\frac{1}{c_{\mathrm{out}}} + \frac{1}{k^2}",
            ("models.mobilenet:InvertedResidual", "models.mobilenet:MobileNetV2"),
            (
                COUNTS,
                "tests/layers/test_convolution.py::test_separable_is_depthwise_then_pointwise",
                "tests/layers/test_convolution.py::test_depthwise_channels_do_not_mix",
            ),
            "Howard et al. 2017, arXiv:1704.04861; v2: Sandler et al. 2018, arXiv:1801.04381; v3: Howard et al. 2019, "
            "arXiv:1905.02244",
            "torchvision.models.mobilenet_v2()",
            "MobileNetV2()",
            sample=(224, 224, 3),
            experiments=("digits_families", "imagenet_mobilenet_v2"),
            claims=(16,),
            related=("efficientnet", "convolution", "resnet"),
            aliases=("MobileNetV2", "MobileNetV3", "depthwise separable convolution"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            15,
            "efficientnet",
            "EfficientNet",
            "depth, width and resolution scaled together",
            "B0 is a network of MobileNet's blocks with squeeze-and-excite. B1 to B7 scale its depth, width and resolution by "
            "powers of one number, φ.",
            "Use it where accuracy per multiply-add counts, best with imported weights. It trains more slowly than its "
            "multiply-adds suggest.",
            r"\mathrm{depth} = \alpha^{\varphi}, \quad \mathrm{width} = \beta^{\varphi}, \quad \mathrm{resolution} = "
            r"\gamma^{\varphi}, \qquad \alpha \beta^2 \gamma^2 \approx 2",
            ("models.efficientnet:EfficientNet", "models.efficientnet:efficientnet"),
            (COUNTS, "tests/models/test_catalog.py::test_efficientnet_b2_at_torchvisions_resolution"),
            "Tan and Le 2019, arXiv:1905.11946",
            "torchvision.models.efficientnet_b0()",
            'efficientnet("b0")',
            sample=(224, 224, 3),
            experiments=("digits_families", "imagenet_efficientnet_b0"),
            claims=(17,),
            related=("mobilenet", "resnet", "swish"),
            aliases=("EfficientNet-B0", "compound scaling"),
            notebook="06_convolution_and_vision",
        ),
        SheetEntry(
            16,
            "typical-cnn",
            "A typical CNN",
            "input, convolution, ReLU, pooling, dense, softmax",
            "The usual order: convolution, ReLU and pooling, repeated; then flatten and dense layers. The sheet's own network "
            "has two 3x3 convolutions of 32 and 64 channels with padding 1, each followed by a 2x2 max-pool: 224x224 images "
            "become 64·56·56 numbers, then 10 logits.",
            "Use it as a first network for images. Most of its weights are in the dense layer: average over the map instead "
            "where the images are large.",
            r"3 \to 32 \to 64 \;\mathrm{channels}, \quad 224 \to 112 \to 56 \;\mathrm{pixels}, \quad 64 \cdot 56 \cdot 56 \to 10",
            ("models.cnn:CNN",),
            (
                "tests/models/test_cnn.py::test_the_sheets_network_has_2_026_442_parameters",
                "tests/layers/test_arithmetic.py::test_parameters_of_the_sheets_network",
            ),
            "LeCun et al. 1998, Proceedings of the IEEE 86",
            "nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), "
            "nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 56 * 56, 10))",
            "CNN(classes=10)",
            sample=(224, 224, 3),
            experiments=("digits_cnn", "fashion_mnist_cnn"),
            claims=(2, 59),
            related=("cnn", "convolution", "pooling", "relu", "softmax"),
            aliases=("LeNet", "conv block"),
            notebook="06_convolution_and_vision",
        ),
    ),
)
