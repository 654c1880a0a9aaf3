"""Where the tests of Triton's kernels run: in its interpreter on the CPU, or on a card.

On a card: `POLARIS_TEST_CUDA=1 pytest -n 0 tests/engines/kernels tests/engines/quantize
tests/engines/local/test_fused_sampler.py`.
"""

import os

IS_CARD = bool(os.environ.get("POLARIS_TEST_CUDA"))
DEVICE = "cuda" if IS_CARD else "cpu"


def set_environment() -> None:
    """Hide cards from torch and interpret Triton's kernels, unless the tests are to use a card.

    A card rounds in another way, and other tests compare texts. Both libraries read this when they
    are imported.
    """
    if not IS_CARD:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["TRITON_INTERPRET"] = "1"
