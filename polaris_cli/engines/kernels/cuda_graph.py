"""CUDA only: captures a decode step as a CUDA graph, and copies tokens to the CPU without a sync.

A step launches hundreds of small kernels. Captured once and replayed, they run one after another
without waiting for Python. Kept short, as it cannot be tested without an NVIDIA GPU. Does not know
what a step computes.
"""

from collections.abc import Callable

import torch

Step = Callable[[], torch.Tensor]

WARM_UP = 3  # steps before the capture: libraries initialize themselves in the first ones


def capture(step: Step, device: torch.device) -> Step:
    """Capture `step` as a CUDA graph; return a function that replays it.

    The function returns the same output tensor each time, with new values. `step` must read and
    write the same memory each time and must not synchronize with the GPU; if it does, raises
    RuntimeError.
    """
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    current = torch.cuda.current_stream(device)
    side.wait_stream(current)
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        # Without a stream, torch would capture on the thread's current device.
        with torch.cuda.device(device), torch.cuda.graph(graph, stream=side):
            output = step()
    except BaseException:  # after a failed capture, torch leaves its stream as the current one
        torch.cuda.set_stream(current)
        raise

    def replay() -> torch.Tensor:
        graph.replay()
        return output

    return replay


def copy_to_host(numbers: torch.Tensor) -> Callable[[], list[float]]:
    """Start copying numbers to the CPU; return a function that waits for the copy and reads them.

    `numbers.tolist()` would also wait for everything launched after this call.
    """
    pinned = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
    pinned.copy_(numbers, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(numbers.device))

    def read() -> list[float]:
        copied.synchronize()
        return list(pinned.tolist())

    return read
