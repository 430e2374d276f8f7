"""Import of the authors' detector: what a synthetic file of its layout computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.models import import_svdnet, load_bundle, timeline
from otoscope.signal import write_audio
from tests.support.checkpoints import write_checkpoint

Variables = dict[str, NDArray[np.float32]]

KERNELS = {
    "conv1": (3, 3, 1, 64),
    "conv2": (3, 3, 64, 32),
    "conv4": (3, 3, 32, 128),
    "conv5": (3, 3, 128, 64),
    "fc7": (4928, 256),
    "fc8": (256, 64),
    "fc9": (64, 1),
}


@pytest.fixture(scope="module")
def variables() -> Variables:
    """Draw weights in TensorFlow's axes, each bias beside its kernel."""
    rng = np.random.default_rng(0)
    drawn: Variables = {}
    for layer, shape in KERNELS.items():
        scale = np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        drawn[f"{layer}/kernel"] = scale * rng.standard_normal(shape).astype(np.float32)
        drawn[f"{layer}/bias"] = np.float32(0.1) * rng.standard_normal(shape[-1]).astype(np.float32)
    return drawn


@pytest.fixture(scope="module")
def scaling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write mean and deviation to one file."""
    path = tmp_path_factory.mktemp("scaling") / "meanstd.npz"
    np.savez(path, mean=np.linspace(-6, -3, 80), std=np.linspace(1, 2, 80))
    return path


def by_tensorflow(variables: Variables, batch: torch.Tensor) -> torch.Tensor:
    """Compute probabilities [batch] in TensorFlow's order of axes: [batch, frame, mel, channel]."""
    x = batch.permute(0, 2, 3, 1).double()

    def get(name: str) -> torch.Tensor:
        return torch.from_numpy(variables[name]).double()

    def convolve(x: torch.Tensor, layer: str) -> torch.Tensor:
        patches = x.unfold(1, 3, 1).unfold(2, 3, 1)  # [batch, frame, mel, channel, 3, 3]
        y = torch.einsum("bfmcij,ijco->bfmo", patches, get(f"{layer}/kernel"))
        return F.leaky_relu(y + get(f"{layer}/bias"), 0.01)

    def pool(x: torch.Tensor) -> torch.Tensor:
        return x.unfold(1, 3, 3).unfold(2, 3, 3).amax((-1, -2))

    x = pool(convolve(convolve(x, "conv1"), "conv2"))
    x = pool(convolve(convolve(x, "conv4"), "conv5")).flatten(1)
    for layer in ("fc7", "fc8"):
        x = F.leaky_relu(x @ get(f"{layer}/kernel") + get(f"{layer}/bias"), 0.01)
    return (x @ get("fc9/kernel") + get("fc9/bias")).sigmoid()[:, 0]


def lasagne(variables: Variables) -> list[NDArray[np.float32]]:
    """Return the arrays of a network of Lasagne that computes the same: convolutions flip."""
    arrays = []
    for layer in KERNELS:
        kernel, bias = variables[f"{layer}/kernel"], variables[f"{layer}/bias"]
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)[:, :, ::-1, ::-1]
        elif layer == "fc7":  # flattened as (channel, frame, mel)
            kernel = kernel.reshape(11, 7, 64, 256).transpose(2, 0, 1, 3).reshape(4928, 256)
        arrays += [kernel, bias]
    return arrays


BATCH = torch.randn(3, 1, 115, 80, generator=torch.Generator().manual_seed(1))


def test_a_checkpoint_computes_what_tensorflow_would(
    variables: Variables, scaling: Path, tmp_path: Path
) -> None:
    slots = {f"{name}/Momentum": np.zeros_like(values) for name, values in variables.items()}
    prefix = write_checkpoint(tmp_path / "svd", variables | slots | {"step": np.zeros(())})
    for name in (prefix, f"{prefix}.index", f"{prefix}.data-00000-of-00001"):
        model = import_svdnet(name, mean=scaling, std=scaling)
        with torch.no_grad():
            ours = model(BATCH)[:, 0].double()
        torch.testing.assert_close(ours, by_tensorflow(variables, BATCH), rtol=0, atol=1e-5)
    assert sum(w.numel() for w in model.network.parameters()) == 1_408_225
    assert model.output_names == ("singing",)
    np.testing.assert_allclose(model.mean, np.linspace(-6, -3, 80), rtol=1e-6)


def test_arrays_of_lasagne_compute_the_same(
    variables: Variables, scaling: Path, tmp_path: Path
) -> None:
    arrays = {f"param{i}": values for i, values in enumerate(lasagne(variables))}
    np.savez(tmp_path / "jamendo.npz", **arrays)  # type: ignore[arg-type]
    model = import_svdnet(tmp_path / "jamendo.npz", mean=scaling, std=scaling)
    with torch.no_grad():
        ours = model(BATCH)[:, 0].double()
        other = import_svdnet(
            tmp_path / "jamendo.npz", mean=scaling, std=scaling, filters="correlation"
        )(BATCH)[:, 0]
    torch.testing.assert_close(ours, by_tensorflow(variables, BATCH), rtol=0, atol=1e-5)
    assert not torch.allclose(ours, other.double(), atol=1e-3)


def test_names_in_order_and_two_outputs_are_read(
    variables: Variables, scaling: Path, tmp_path: Path
) -> None:
    two = dict(variables)
    two["fc9/kernel"] = np.concatenate([np.zeros((64, 1), np.float32), variables["fc9/kernel"]], 1)
    two["fc9/bias"] = np.concatenate([np.zeros(1, np.float32), variables["fc9/bias"]])
    numbered = {
        f"W{i}" if kind == "kernel" else f"b{i}": two[f"{layer}/{kind}"]
        for i, layer in enumerate(KERNELS, 5)  # W10 comes after W9
        for kind in ("kernel", "bias")
    }
    model = import_svdnet(write_checkpoint(tmp_path / "two", numbered), mean=scaling, std=scaling)
    assert model.output_names == ("no singing", "singing")
    with torch.no_grad():  # a softmax against logit 0 is the sigmoid
        ours = model(BATCH)[:, 1].double()
    torch.testing.assert_close(ours, by_tensorflow(variables, BATCH), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc7/kernel": np.zeros((4900, 256))}, "weight of fc7 must have shape .4928, 256., none"),
        ({"fc8/bias": np.zeros(65)}, r"bias of fc8 .* \(64,\), fc8/bias has shape \(65,\)"),
        ({"conv2/kernel": None}, "weight of conv2"),
        ({"bn/gamma": np.zeros(64), "bn/beta": np.zeros(64)}, r"bn/(gamma|beta) \(64,\)"),
        ({"twice/kernel": np.zeros((256, 64))}, "fc8/kernel and twice/kernel have it"),
        ({"fc9/bias": np.array([np.nan])}, "numbers in fc9.bias that are not finite"),
    ],
)
def test_another_shape_names_the_tensor(
    change: dict[str, NDArray[np.float32] | None],
    message: str,
    variables: Variables,
    scaling: Path,
    tmp_path: Path,
) -> None:
    changed = {k: v for k, v in (variables | change).items() if v is not None}
    prefix = write_checkpoint(tmp_path / "svd", changed)
    with pytest.raises(ParameterError, match=message):
        import_svdnet(prefix, mean=scaling, std=scaling)


def test_another_scaling_or_configuration_is_refused(
    variables: Variables, scaling: Path, tmp_path: Path
) -> None:
    prefix = write_checkpoint(tmp_path / "svd", variables)
    np.save(tmp_path / "decibels.npy", np.full(80, -40.0))
    with pytest.raises(ParameterError, match="it is of another scaling"):
        import_svdnet(prefix, mean=tmp_path / "decibels.npy", std=scaling)
    np.save(tmp_path / "short.npy", np.ones(79))
    with pytest.raises(ParameterError, match="std must be 80 numbers"):
        import_svdnet(prefix, mean=scaling, std=tmp_path / "short.npy")
    np.savetxt(tmp_path / "std.txt", np.ones(80))
    assert import_svdnet(prefix, mean=scaling, std=tmp_path / "std.txt").std.unique() == 1
    with pytest.raises(ParameterError, match="not there"):
        import_svdnet(prefix, mean=scaling, std=tmp_path / "none.npy")
    config = tmp_path / "defaults.vars"
    config.write_text("sample_rate=22050\nfps=70\nbatchsize=32\n")
    import_svdnet(prefix, mean=scaling, std=scaling, config=config)
    config.write_text("sample_rate=22050\nfps=100\n")
    with pytest.raises(ParameterError, match="fps is 100, the network was made for 70"):
        import_svdnet(prefix, mean=scaling, std=scaling, config=config)
    config.write_text("nothing=1\n")
    with pytest.raises(ParameterError, match="has none of the fields sample_rate"):
        import_svdnet(prefix, mean=scaling, std=scaling, config=config)
    with pytest.raises(ParameterError, match="must be 'correlation' or 'convolution'"):
        import_svdnet(prefix, mean=scaling, std=scaling, filters="flip")  # type: ignore[arg-type]


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_commands_import_and_check(variables: Variables, scaling: Path, tmp_path: Path) -> None:
    """Predictions of the model itself, begun three frames later, are equal; others are not."""
    prefix = write_checkpoint(tmp_path / "svd", variables)
    bundle = tmp_path / "model"
    run("models", "import-svdnet", prefix, "--mean", scaling, "--std", scaling, "--out", bundle)
    model = load_bundle(bundle)
    songs = tmp_path / "songs"
    songs.mkdir()
    y = 0.1 * torch.randn(30_000, generator=torch.Generator().manual_seed(2))
    write_audio(songs / "a.wav", y, sr=22050)
    outputs = timeline(model, y, padded=True).outputs[:, 0].numpy()
    np.savez(tmp_path / "p.npz", **{"a.mp3": outputs[3:].astype(np.float32)})  # type: ignore[arg-type]
    options = ("--songs", songs, "--predictions", tmp_path / "p.npz")
    checked = json.loads(run("models", "check-svdnet", f"{bundle}.json", *options, "--json"))
    assert checked["is_equal"]
    assert checked["songs"][0]["lag"] == 3
    assert checked["songs"][0]["mean_difference"] < 1e-3  # a file of 16 bits
    np.savez(tmp_path / "p.npz", **{"a.mp3": 1 - outputs})  # type: ignore[arg-type]
    assert "DIFFERENT" in run("models", "check-svdnet", f"{bundle}.json", *options, code=1)
    loose = ("--tolerance", 1.0)
    assert "equal: mean" in run("models", "check-svdnet", f"{bundle}.json", *options, *loose)
    np.savez(tmp_path / "p.npz", **{"b.mp3": outputs})  # type: ignore[arg-type]
    assert "has no song b.mp3" in run("models", "check-svdnet", f"{bundle}.json", *options, code=2)
    np.savez(tmp_path / "p.npz", a=outputs[:20])
    assert "another recording" in run("models", "check-svdnet", f"{bundle}.json", *options, code=2)


def test_the_command_passes_every_option_on(
    variables: Variables, scaling: Path, tmp_path: Path
) -> None:
    arrays = {f"param{i}": values for i, values in enumerate(lasagne(variables))}
    np.savez(tmp_path / "svd.npz", **arrays)  # type: ignore[arg-type]
    config, std = tmp_path / "c.vars", tmp_path / "std.txt"
    config.write_text("fps=70\n")
    np.savetxt(std, np.full(80, 1.5))
    options = ["--mean", scaling, "--std", std, "--filters", "correlation", "--config", config]
    command = ("models", "import-svdnet", tmp_path / "svd.npz", "--out", tmp_path / "m", *options)
    assert json.loads(run(*command, "--json"))["parameters"] == 1_408_225
    model = load_bundle(tmp_path / "m")
    assert model.std.unique() == 1.5
    flipped = torch.from_numpy(variables["conv1/kernel"].transpose(3, 2, 0, 1).copy()).flip(2, 3)
    assert torch.equal(model.network.conv1[0].weight, flipped)  # type: ignore[index, union-attr]
    config.write_text("fps=50\n")
    assert "fps is 50" in run(*command, code=2)
