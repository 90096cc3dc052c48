"""A YOLOv5 network in plain PyTorch, as the opponent of `train_step.py`. Needs torch and numpy, not tfyolo.

It is written from the facts about the layers (kernels, channels, epsilons), not from YOLOv5's sources, and
reads the layers of a model from the JSON that `train_step.py` writes. Parameters carry the names of tfyolo's
layers (`model.2.cv1.conv`), so that both networks can be given the same weights and compared.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution without bias, batch normalisation, SiLU."""

    def __init__(
        self, inputs: int, filters: int, kernel: int = 1, stride: int = 1, padding: int | None = None
    ):
        super().__init__()
        border = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, filters, kernel, stride, border, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, filters, height / stride, width / stride)."""
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """1 x 1 then 3 x 3 Conv, added to the input where wished."""

    def __init__(self, channels: int, shortcut: bool):
        super().__init__()
        self.cv1 = Conv(channels, channels)
        self.cv2 = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        y = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """A branch of bottlenecks beside a plain one, joined by a third Conv."""

    def __init__(self, inputs: int, filters: int, shortcut: bool = True, repeats: int = 1):
        super().__init__()
        hidden = filters // 2
        self.cv1 = Conv(inputs, hidden)
        self.cv2 = Conv(inputs, hidden)
        self.cv3 = Conv(2 * hidden, filters)
        self.m = nn.Sequential(*(Bottleneck(hidden, shortcut) for _ in range(repeats)))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, filters, height, width)."""
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class SPPF(nn.Module):
    """Three max poolings in a row between two Conv, all four stages joined."""

    def __init__(self, inputs: int, filters: int, kernel: int = 5):
        super().__init__()
        self.cv1 = Conv(inputs, inputs // 2)
        self.cv2 = Conv(inputs // 2 * 4, filters)
        self.pool = nn.MaxPool2d(kernel, 1, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, filters, height, width)."""
        stages = [self.cv1(x)]
        for _ in range(3):
            stages.append(self.pool(stages[-1]))
        return self.cv2(torch.cat(stages, 1))


class Network(nn.Module):
    """The layers of a JSON file in order; the last is Detect, one convolution for each scale."""

    def __init__(self, layers: list[dict[str, Any]], outputs: int):
        super().__init__()
        self.sources = [layer["sources"] for layer in layers]
        self.model = nn.ModuleList()
        channels: list[int] = []
        for layer in layers:
            inputs = [3 if i < 0 else channels[i] for i in layer["sources"]]
            module, filters = _module(layer, inputs, outputs)
            self.model.append(module)
            channels.append(filters)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Raw heads of images (batch, 3, height, width)."""
        values: list[Any] = []
        for module, sources in zip(self.model, self.sources, strict=True):
            inputs = [images if i < 0 else values[i] for i in sources]
            if isinstance(module, nn.ModuleDict):
                values.append([conv(x) for conv, x in zip(module["m"], inputs, strict=True)])  # type: ignore[call-overload]
            elif isinstance(module, nn.Identity):
                values.append(torch.cat(inputs, 1))
            else:
                values.append(module(inputs[0]))
        return values[-1]


def _module(layer: dict[str, Any], inputs: list[int], outputs: int) -> tuple[nn.Module, int]:
    """A layer and its number of channels."""
    block, arguments, repeats = layer["block"], layer["arguments"], layer["repeats"]
    if block == "Conv" and repeats == 1:
        return Conv(inputs[0], **arguments), arguments["filters"]
    if block == "C3":
        return C3(inputs[0], **arguments, repeats=repeats), arguments["filters"]
    if block == "SPPF":
        return SPPF(inputs[0], **arguments), arguments["filters"]
    if block == "Upsample":
        return nn.Upsample(scale_factor=2, mode="nearest"), inputs[0]
    if block == "Concat":
        return nn.Identity(), sum(inputs)
    if block == "Detect":
        return nn.ModuleDict({"m": nn.ModuleList(nn.Conv2d(n, outputs, 1) for n in inputs)}), outputs
    raise ValueError(f"layer {layer['index']}: this benchmark has no {block}")


def load_weights(network: nn.Module, path: Path) -> None:
    """Give `network` the weights of an npz file with PyTorch's names and TensorFlow's order of axes."""
    weights = np.load(path)
    state = network.state_dict()
    for name in weights.files:
        value = torch.from_numpy(weights[name])
        state[name].copy_(value.permute(3, 2, 0, 1) if value.ndim == 4 else value)


def surrogate_loss(heads: list[Tensor]) -> Tensor:
    """Sum over heads of their mean square: the network is compared, not the loss."""
    return sum((head.square().mean() for head in heads), start=torch.zeros(()))


def make_step(network: nn.Module, images: Tensor, learning_rate: float) -> Callable[[], float]:
    """One training step on `images`: forward, loss, backward, SGD with Nesterov. Gives the loss."""
    optimizer = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.937, nesterov=True)

    def step() -> float:
        loss = surrogate_loss(network(images))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main(request: dict[str, Any]) -> None:
    """The worker: set up, say so, then time as many steps as each line of standard input asks for."""
    torch.set_num_threads(request["threads"])
    torch.set_num_interop_threads(1)
    network = Network(request["layers"], request["outputs"]).train()
    load_weights(network, Path(request["weights"]))
    images = torch.from_numpy(np.load(request["images"])).permute(0, 3, 1, 2).contiguous()
    if request["channels_last"]:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    step = make_step(network, images, request["learning_rate"])
    losses = [step() for _ in range(request["warmup"])]
    parameters = sum(p.numel() for p in network.parameters())
    reply = {"parameters": parameters, "losses": losses, "version": f"PyTorch {torch.__version__}"}
    print(json.dumps(reply), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
