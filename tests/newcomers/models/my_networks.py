"""Network of a newcomer, as it lies beside the file of ten lines that imports it."""

from __future__ import annotations

from torch import Tensor, nn


class CRNN(nn.Module):
    """Hear a whistle at 2 kHz: convolution, pooling in time, a recurrent layer, answers per frame.

    The weights are made up, so that what it hears is known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, (5, 40))
        self.pool = nn.MaxPool2d((2, 1))
        self.gru = nn.GRU(1, 1, batch_first=True)
        self.out = nn.Linear(1, 1)
        for weight in self.parameters():
            weight.data.zero_()
        self.conv.weight.data[..., 27:30] = 0.1
        self.conv.bias.data[:] = 10
        self.gru.weight_ih_l0.data[2] = 0.3  # the state moves half the way to tanh(0.3 x)
        self.out.weight.data[:] = 20
        self.out.bias.data[:] = -9

    def forward(self, x: Tensor) -> Tensor:
        """Answer per frame: [batch, 1, frame, mel] -> [batch, frame / 2, output]."""
        pooled = self.pool(self.conv(x).relu())[..., 0].mT
        outputs: Tensor = self.out(self.gru(pooled)[0]).sigmoid()
        return outputs
