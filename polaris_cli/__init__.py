"""polaris: stories of the length that was asked for, from a model on your own machine."""

__version__ = "0.1.0"
