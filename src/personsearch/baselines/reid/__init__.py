"""Describing people without a network: patches of colour and gradient, words of colour, a learned metric."""
