"""Inputs of captum's explainers keep one order of axes, whatever the model's layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.adapters import captum as ours


class House(nn.Module):
    """A network of [batch, 1, frame, mel], with an optional gain."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 2, (3, 2))

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        outputs: Tensor = gain * self.conv(x).relu().mean((2, 3))
        return outputs


class Other(House):
    """The same network of [mel, batch, frame], with a structured answer."""

    def forward(self, x: Tensor, gain: float = 1.0) -> Any:
        return {"logits": super().forward(x.permute(1, 2, 0)[:, None], gain)}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FeatureAblation", {}),
        ("Occlusion", {"sliding_window_shapes": (1, 4, 5)}),
        ("ShapleyValues", {}),
        ("ShapleyValueSampling", {}),
        ("KernelShap", {}),
        ("SoundLIME", {}),
        ("Lime", {"n_samples": 20}),
    ],
)
def test_attributions_are_those_of_the_twin(name: str, options: Any) -> None:
    x = torch.randn(1, 1, 12, 5, generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(12) // 4)[None, None, :, None]
    call = {"target": 1, "additional_forward_args": 2.0} | options
    if name != "Occlusion":
        call["feature_mask"] = mask
    values = []
    for model, layout in ((House().eval(), None), (Other().eval(), "mel b frame")):
        explainer: Any = getattr(ours, name)(model, layout=layout)
        torch.manual_seed(2)
        values.append(explainer.attribute(x, **call))
    assert values[0].shape == x.shape
    torch.testing.assert_close(values[1], values[0])
