"""What only an NVIDIA card can do: record a step's launches, hand out a token without waiting.

A step launches hundreds of small kernels; recorded once as a CUDA graph and replayed, they follow
each other without waiting for Python. Nothing here runs without a card, so there is little of it.
"""

from collections.abc import Callable

import torch

Step = Callable[[], torch.Tensor]

WARM_UP = 3  # steps before the recording: libraries set themselves up in the first ones


def captured(step: Step, device: torch.device) -> Step:
    """Record what `step` launches; return what replays it and gives the same tensor, refilled.

    The step must read and write the same memory each time and never wait for the card. Raises
    RuntimeError if it does.
    """
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return output

    return replay


def on_its_way(token: torch.Tensor) -> Callable[[], int]:
    """Send a token to the host behind what is launched already; return what waits for it alone.

    Reading it directly would wait for everything launched in the meantime too.
    """
    place = torch.empty(1, dtype=token.dtype, pin_memory=True)
    place.copy_(token, non_blocking=True)
    sent = torch.cuda.Event()  # type: ignore[no-untyped-call]
    sent.record()

    def read() -> int:
        sent.synchronize()
        return int(place)

    return read
