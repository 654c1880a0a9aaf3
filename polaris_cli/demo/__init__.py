"""The embedded demo model: a toy of Qwen3.5's architecture, and how it was made.

`MODEL_DIR` holds the weights and the tokenizer; the other modules remake and measure them. Nothing
here is needed to run the model: it loads like any other folder.
"""

from pathlib import Path

MODEL_DIR = Path(__file__).resolve().parent / "model"
