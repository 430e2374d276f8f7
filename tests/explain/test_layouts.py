"""Models of any layout, with other inputs and framewise outputs, are explained as they are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import PlainPasses, SoundLIME
from otoscope.protocols import Patch, TransposedPicture

PICTURE = torch.randn(60, 20, generator=torch.Generator().manual_seed(0))


class House(nn.Module):
    """A network in otoscope's own layout: [batch, 1, frame, mel]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.out = nn.Conv2d(1, 3, (5, 3)), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.out(self.conv(x).relu().amax((2, 3)))
        return outputs


class Other(nn.Module):
    """The same network in another layout."""

    def __init__(self, axes: str) -> None:
        super().__init__()
        self.house, self.axes = House(), axes

    def forward(self, x: Tensor) -> Tensor:
        axes = self.axes.split()
        for place in reversed(range(len(axes))):
            if axes[place].isdecimal():
                assert x.shape[place] == int(axes[place])
                x = x.select(place, 0)
        names = [axis for axis in axes if not axis.isdecimal()]
        outputs: Tensor = self.house(
            x.permute([names.index(n) for n in ("b", "frame", "mel")])[:, None]
        )
        return outputs


def lime(model: Any, **options: Any) -> Any:
    settings: Any = {"segments": "temporal:6", "content": 0.0, "target": 0} | options
    return SoundLIME(model, **settings)


EXPECTED = lime(House().eval()).explain(PICTURE).coefficients


@pytest.mark.parametrize("layout", ["b 1 mel frame", "b mel frame", "b frame mel", "mel b frame 3"])
def test_a_model_of_another_layout_is_explained_and_shared(layout: str) -> None:
    explainer = lime(Other(layout).eval(), layout=layout)
    picture = PICTURE if layout == "b frame mel" else PICTURE.T
    for form in (picture, picture.numpy(), picture.double().numpy(), Patch(PICTURE)):
        explanation = explainer.explain(form)
        torch.testing.assert_close(explanation.coefficients, EXPECTED, rtol=0, atol=1e-6)
        assert explanation.patch.values.shape == PICTURE.shape
        assert explanation.settings.layout == layout
    assert "shared forward pass" in explanation.plan
    with pytest.raises(ParameterError, match=r"patch has shape \(60,\), the layout is"):
        explainer.explain(PICTURE[:, 0])


def test_a_model_that_refuses_a_picture_is_told_the_layout_it_takes() -> None:
    net = nn.Sequential(
        nn.Conv1d(20, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()
    ).eval()
    with pytest.raises(ParameterError, match=r"takes \[2, 20, 60\] = .* layout='b mel frame'"):
        lime(net).explain(PICTURE)
    with pytest.raises(ParameterError, match=r"given \[8, 60, 20\] = \[batch, frame, mel\] and "):
        lime(net, layout="b frame mel").explain(PICTURE)
    explainer = lime(net, layout="b mel frame")
    assert explainer.explain(Patch(PICTURE)).output_all == explainer.explain(PICTURE.T).output_all
    broken = nn.Sequential(nn.Flatten(), nn.Linear(3, 1)).eval()
    with pytest.raises(ParameterError, match=r"raised RuntimeError: [^;]*$"):
        lime(broken).explain(PICTURE)


def test_a_transposed_picture_is_said() -> None:
    with pytest.warns(TransposedPicture, match="60 frames and 500 bands looks transposed"):
        lime(House().eval()).explain(torch.zeros(60, 500))
    net: Any = House().eval()
    net.n_mels = 20
    with pytest.raises(ParameterError, match=r"\(20, 60\), and 20 is the number of bands .*transp"):
        lime(net).explain(PICTURE.T)


def test_a_model_of_sounds_takes_samples() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(1, 2, 64, stride=16), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()
    )
    y = torch.zeros(1600)
    y[700:750] = 1.0
    for layout in ("b 1 sample", "1 b sample"):
        model = net if layout == "b 1 sample" else Transposing(net)
        explanation = lime(model.eval(), layout=layout, segments="temporal:8").explain(y)
        (segment,) = explanation.coefficients.abs().topk(1).indices.tolist()
        assert segment == 3  # samples 600 to 799
    array = y.double().numpy()[::-1].copy()[::-1]
    assert (
        lime(net.eval(), layout="b 1 sample", segments="temporal:8").explain(array).n_coalitions
        == 256
    )
    with pytest.raises(
        ParameterError, match=r"layout is 'b 1 sample', the patch is a picture \(60"
    ):
        lime(net, layout="b 1 sample").explain(Patch(PICTURE))


class Transposing(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net(x.transpose(0, 1))


class Conditioned(nn.Module):
    """A network with two inputs besides the spectrogram, which may come in any place."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()

    def forward(self, text: Tensor, audio: Tensor, gain: float = 1.0) -> tuple[Tensor, Tensor]:
        assert text.shape == (len(audio), 2)
        return torch.zeros(()), gain * self.house(audio) * text


@pytest.mark.parametrize(
    "fixed",
    [
        {"text": torch.tensor([[0.5, 2.0]]), "audio": ..., "gain": 2.0},
        (torch.tensor([[0.5, 2.0]]), ..., 2.0),
    ],
)
def test_other_inputs_are_fixed_by_name_or_place(fixed: Any) -> None:
    explanation = lime(Conditioned().eval(), fixed=fixed, output=1).explain(PICTURE)
    torch.testing.assert_close(explanation.coefficients, EXPECTED, rtol=0, atol=1e-6)
    assert "shared forward pass" in explanation.plan
    after = lime(Gained().eval(), fixed=(2.0,)).explain(PICTURE)
    named = lime(Gained().eval(), fixed={"gain": 2.0}).explain(PICTURE)
    torch.testing.assert_close(after.coefficients, 2 * EXPECTED, rtol=0, atol=1e-6)
    torch.testing.assert_close(named.coefficients, after.coefficients)


class Gained(House):
    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        return gain * super().forward(x)


def test_outputs_per_frame_are_pooled() -> None:
    class Framewise(House):
        def forward(self, x: Tensor) -> Tensor:
            outputs: Tensor = self.out(self.conv(x).relu().amax(3).mT)
            return outputs  # [batch, frame, output]

    with pytest.raises(ParameterError, match="pool outputs per frame with pooling='mean'"):
        lime(Framewise().eval()).explain(PICTURE)
    for pooling in ("mean", "max"):
        explanation = lime(Framewise().eval(), pooling=pooling).explain(PICTURE)
        framewise = Framewise().eval()(PICTURE[None, None])[0, :, 0]
        whole = framewise.mean() if pooling == "mean" else framewise.amax()
        assert explanation.output_all == pytest.approx(float(whole.detach()), abs=1e-6)
    with pytest.raises(
        ParameterError, match=r"pooling is 'mean' and the model returned shape \(48,\)"
    ):
        lime(nn.Flatten(0), shared=False, pooling="mean").explain(torch.zeros(6, 1))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"layout": "mel"}, "layout is 'mel'; name each axis"),
        ({"fixed": [1]}, "fixed is list, must be a dictionary by name or a tuple"),
        ({"fixed": (..., ...)}, "holds ... twice"),
        ({"output": 1.5}, "output is 1.5, must be a part's name or index"),
        ({"pooling": "sum"}, "pooling is 'sum', must be 'mean' or 'max'"),
    ],
)
def test_wrong_settings_are_refused_at_the_door(option: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        lime(House(), **option)


def test_a_function_around_a_network_is_told_once_how_to_share() -> None:
    net = House().eval()

    def around(x: Tensor) -> Tensor:
        return net(x)  # type: ignore[no-any-return]

    explainer = lime(around, segments="temporal:10")
    with pytest.warns(PlainPasses, match=r"1,024 plain passes .* nn.Module .* or shared=True"):
        first = explainer.explain(PICTURE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.explain(PICTURE)  # said already
        lime(around, segments="temporal:9").explain(PICTURE)  # 512 passes
        lime(lambda x: x.mean((1, 2, 3)), segments="temporal:10").explain(PICTURE)  # no network
        shared = lime(around, segments="temporal:10", shared=True).explain(PICTURE)
        plain = lime(around, segments="temporal:10", shared=False).explain(PICTURE)
        module = lime(net, segments="temporal:10").explain(PICTURE)
    for other in (shared, plain, module):
        torch.testing.assert_close(other.coefficients, first.coefficients, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
)
def test_targets_may_be_of_every_integer_type(dtype: Any) -> None:
    expected = lime(House().eval(), target=1).explain(PICTURE).coefficients
    array = np.array(1, dtype)
    tensor = torch.from_numpy(array)
    for target in (
        array,
        array[None],
        dtype(1),
        [dtype(1)],
        tensor,
        [tensor],
        tensor[None],
        range(1, 2),
    ):
        explanation = lime(House().eval(), target=target).explain(PICTURE)
        torch.testing.assert_close(explanation.coefficients, expected)
