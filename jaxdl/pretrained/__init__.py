"""Pretrained weights: conversion between PyTorch's files and Flax variables.

files        read safetensors and PyTorch files as NumPy arrays, without executing anything in them
layouts      layouts of arrays in PyTorch's files
mapping      map tensors of a file to variables of a model, and back
families     the families of models that have PyTorch names, and the shapes of their variables
architectures, timm, sizes    what config.json of Hugging Face or timm says: the model's name here and its options
preprocess   preprocessing of images that belongs to a set of weights
folder       an imported set of weights: weights, model, preprocessing and labels in one folder
bert, gpt2, inception, mobilenet, resnet, t5, vgg, vit    names of each family in torchvision, timm and Hugging Face
"""
