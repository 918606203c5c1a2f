"""More reference networks as plain PyTorch modules: depthwise families and transformers, named as in `oracles.py`."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.pretrained.oracles import conv, seq

# -- MobileNet, EfficientNet ------------------------------------------------------------------------------------------


def cna(i, o, k=1, s=1, g=1, act=None, eps=1e-5, momentum=0.1):
    return seq(conv(i, o, k, s, g), nn.BatchNorm2d(o, eps, momentum), *([act()] if act else []))


class Separable(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.conv_dw, self.bn1 = conv(i, i, 3, s, i), nn.BatchNorm2d(i)
        self.conv_pw, self.bn2 = conv(i, o), nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu6(self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x))))))


class MobileNetV1(nn.Module):
    """timm's names; `stages` are lists of (width, strides)."""

    def __init__(self, stages, stem, classes):
        super().__init__()
        self.conv_stem, self.bn1, i, blocks = conv(3, stem, 3, 2), nn.BatchNorm2d(stem), stem, []
        for stage in stages:
            layers = []
            for o, s in stage:
                layers.append(Separable(i, o, s))
                i = o
            blocks.append(seq(*layers))
        self.blocks, self.classifier = seq(*blocks), nn.Linear(i, classes)

    def forward(self, x):
        return self.classifier(self.blocks(F.relu6(self.bn1(self.conv_stem(x)))).mean((2, 3)))


class InvertedV2(nn.Module):
    def __init__(self, i, o, expansion, s):
        super().__init__()
        h, act = i * expansion, nn.ReLU6
        first = [cna(i, h, act=act)] if expansion != 1 else []
        self.conv = seq(*first, cna(h, h, 3, s, h, act), conv(h, o), nn.BatchNorm2d(o))
        self.add = s == 1 and i == o

    def forward(self, x):
        return x + self.conv(x) if self.add else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, table, stem, last, classes):
        super().__init__()
        layers, i = [cna(3, stem, 3, 2, act=nn.ReLU6)], stem
        for expansion, o, count, s in table:
            for j in range(count):
                layers.append(InvertedV2(i, o, expansion, s if j == 0 else 1))
                i = o
        self.features = seq(*layers, cna(i, last, act=nn.ReLU6))
        self.classifier = seq(nn.Identity(), nn.Linear(last, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class Excite(nn.Module):
    def __init__(self, channels, hidden, act, gate):
        super().__init__()
        self.fc1, self.fc2, self.act, self.gate = (
            conv(channels, hidden, bias=True),
            conv(hidden, channels, bias=True),
            act,
            gate,
        )

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    """torchvision's block of MobileNetV3 and EfficientNet."""

    def __init__(self, i, o, h, k, s, act, se=None, eps=1e-5, momentum=0.1):
        super().__init__()
        norm = {"eps": eps, "momentum": momentum}
        first = [cna(i, h, act=act, **norm)] if h != i else []
        self.block = seq(*first, cna(h, h, k, s, h, act, **norm), *([se] if se else []), cna(h, o, **norm))
        self.add = s == 1 and i == o

    def forward(self, x):
        return x + self.block(x) if self.add else self.block(x)


class MobileNetV3(nn.Module):
    def __init__(self, rows, stem, hidden, classes, divisible):
        super().__init__()
        norm = {"eps": 1e-3, "momentum": 0.01}
        layers, i = [cna(3, stem, 3, 2, act=nn.Hardswish, **norm)], stem
        for k, h, o, squeeze, act, s in rows:
            act = nn.ReLU if act == "relu" else nn.Hardswish
            se = Excite(h, divisible(h / 4), nn.ReLU(), nn.Hardsigmoid()) if squeeze else None
            layers.append(Inverted(i, o, h, k, s, act, se, **norm))
            i = o
        self.features = seq(*layers, cna(i, 6 * i, act=nn.Hardswish, **norm))
        self.classifier = seq(nn.Linear(6 * i, hidden), nn.Hardswish(), nn.Identity(), nn.Linear(hidden, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class EfficientNet(nn.Module):
    def __init__(self, table, stem, last, classes):
        super().__init__()
        layers, i = [cna(3, stem, 3, 2, act=nn.SiLU)], stem
        for expansion, k, s, o, count in table:
            stage = []
            for j in range(count):
                se = Excite(i * expansion, max(1, i // 4), nn.SiLU(), nn.Sigmoid())
                stage.append(Inverted(i, o, i * expansion, k, s if j == 0 else 1, nn.SiLU, se))
                i = o
            layers.append(seq(*stage))
        self.features = seq(*layers, cna(i, last, act=nn.SiLU))
        self.classifier = seq(nn.Identity(), nn.Linear(last, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class TimmBlock(nn.Module):
    """timm's inverted residual with squeeze-and-excitation, and its depthwise-separable form without expansion."""

    def __init__(self, i, o, h, k, s, act, hidden, relu, gate):
        super().__init__()
        self.expands, self.act, self.add = h != i, act, s == 1 and i == o
        self.conv_dw, self.se, self.acts = conv(h, h, k, s, h), None, (relu, gate)
        if hidden:
            self.se = nn.Module()
            self.se.conv_reduce, self.se.conv_expand = conv(h, hidden, bias=True), conv(hidden, h, bias=True)
        if self.expands:
            self.conv_pw, self.conv_pwl = conv(i, h), conv(h, o)
            self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(h), nn.BatchNorm2d(h), nn.BatchNorm2d(o)
        else:
            self.conv_pw, self.bn1, self.bn2 = conv(h, o), nn.BatchNorm2d(h), nn.BatchNorm2d(o)

    def forward(self, x):
        y = self.act(self.bn1(self.conv_pw(x))) if self.expands else x
        y = self.act((self.bn2 if self.expands else self.bn1)(self.conv_dw(y)))
        if self.se:
            relu, gate = self.acts
            y = y * gate(self.se.conv_expand(relu(self.se.conv_reduce(y.mean((2, 3), keepdim=True)))))
        y = self.bn3(self.conv_pwl(y)) if self.expands else self.bn2(self.conv_pw(y))
        return x + y if self.add else y


class TimmEfficientNet(nn.Module):
    def __init__(self, table, stem, last, classes):
        super().__init__()
        self.conv_stem, self.bn1, i = conv(3, stem, 3, 2), nn.BatchNorm2d(stem), stem
        stages = []
        for expansion, k, s, o, count in table:
            stage = []
            for j in range(count):
                stage.append(
                    TimmBlock(i, o, i * expansion, k, s if j == 0 else 1, F.silu, max(1, i // 4), F.silu, torch.sigmoid)
                )
                i = o
            stages.append(seq(*stage))
        self.blocks = seq(*stages)
        self.conv_head, self.bn2, self.classifier = conv(i, last), nn.BatchNorm2d(last), nn.Linear(last, classes)

    def forward(self, x):
        x = self.blocks(F.silu(self.bn1(self.conv_stem(x))))
        return self.classifier(F.silu(self.bn2(self.conv_head(x))).mean((2, 3)))


# -- ViT --------------------------------------------------------------------------------------------------------------


class ViT(nn.Module):
    """torchvision's, on PyTorch's own `nn.MultiheadAttention`."""

    def __init__(self, patch, width, depth, heads, hidden, image, classes):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder, self.heads = nn.Module(), nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, width))
        self.encoder.layers, norm = nn.Module(), lambda: nn.LayerNorm(width, eps=1e-6)
        self.blocks = []
        for i in range(depth):
            block = nn.Module()
            block.ln_1, block.ln_2 = norm(), norm()
            block.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
            block.mlp = seq(nn.Linear(width, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, width))
            setattr(self.encoder.layers, f"encoder_layer_{i}", block)
            self.blocks.append(block)
        self.encoder.ln, self.heads.head = norm(), nn.Linear(width, classes)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.encoder.pos_embedding
        for block in self.blocks:
            y = block.ln_1(x)
            x = x + block.self_attention(y, y, y, need_weights=False)[0]
            x = x + block.mlp(block.ln_2(x))
        return self.heads.head(self.encoder.ln(x)[:, 0])


class TimmViTMap(nn.Module):
    """timm's with attention pooling (`global_pool="map"`): a latent query, keys and values in one layer, then a residual MLP."""

    def __init__(self, patch, width, depth, heads, hidden, image, classes):
        super().__init__()
        norm = lambda: nn.LayerNorm(width, eps=1e-6)
        self.patch_embed, self.heads = nn.Module(), heads
        self.patch_embed.proj = nn.Conv2d(3, width, patch, patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, (image // patch) ** 2, width))

        def mlp():
            layers = nn.Module()
            layers.fc1, layers.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
            return layers

        self.blocks = nn.ModuleList()
        for _ in range(depth):
            block = nn.Module()
            block.norm1, block.norm2, block.attn, block.mlp = norm(), norm(), nn.Module(), mlp()
            block.attn.qkv, block.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.blocks.append(block)
        self.norm, self.attn_pool, self.head = norm(), nn.Module(), nn.Linear(width, classes)
        pool = self.attn_pool
        pool.latent = nn.Parameter(torch.zeros(1, 1, width))
        pool.q, pool.kv, pool.proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        pool.norm, pool.mlp = norm(), mlp()

    def attend(self, q, k, v):
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    def forward(self, x):
        def feed(mlp, x):
            return mlp.fc2(F.gelu(mlp.fc1(x)))

        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            x = x + block.attn.proj(self.attend(*block.attn.qkv(block.norm1(x)).chunk(3, -1)))
            x = x + feed(block.mlp, block.norm2(x))
        x, pool = self.norm(x), self.attn_pool
        y = pool.proj(self.attend(pool.q(pool.latent.expand(len(x), -1, -1)), *pool.kv(x).chunk(2, -1)))
        return self.head((y + feed(pool.mlp, pool.norm(y)))[:, 0])
