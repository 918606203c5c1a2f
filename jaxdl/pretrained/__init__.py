"""The bridge to the world's weights: PyTorch's files to Flax variables and back.

files        safetensors and PyTorch's own files as NumPy arrays; nothing in a file is ever executed
mapping      which tensor of a file is which leaf of a model, in what layout; loading whole or not at all; writing back
preprocess   what was done to images before these weights saw them: it travels with them
folder       an imported weight set: weights, model, preprocessing and labels in one folder
resnet, vgg, inception, mobilenet, vit    the names each family goes by in torchvision, timm and Hugging Face
"""
