"""Pretrained weights: conversion between PyTorch's files and Flax variables.

files        read safetensors and PyTorch files as NumPy arrays, without executing anything in them
mapping      map tensors of a file to variables of a model, with their layouts, and back
preprocess   preprocessing of images that belongs to a set of weights
folder       an imported set of weights: weights, model, preprocessing and labels in one folder
bert, gpt2, inception, mobilenet, resnet, t5, vgg, vit    names of each family in torchvision, timm and Hugging Face
"""
