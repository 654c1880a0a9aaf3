"""The folder of the demo model, for the programs that train and measure it."""

from polaris_cli.models.catalogue import DEMO_FOLDER

MODEL_DIR = DEMO_FOLDER
