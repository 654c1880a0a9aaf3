"""The version of polaris, where nothing else has to be imported to know it."""

__version__ = "0.2.0"
