"""Where the demo model's files are, for what remakes and measures it."""

from polaris_cli.models.catalogue import DEMO_FOLDER

MODEL_DIR = DEMO_FOLDER
