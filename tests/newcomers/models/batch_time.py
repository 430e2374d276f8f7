import torch

from otoscope.models import WaveformListener


def make():  # [batch, time]: a filter at 2 kHz, and its largest output
    t = torch.arange(64) / 8000
    conv = torch.nn.Conv1d(1, 1, 64, bias=False)
    conv.weight.data[0, 0] = 2 * torch.sin(2 * torch.pi * 2000 * t)
    pool = [torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten(), torch.nn.Linear(1, 1)]
    pool[2].weight.data[:], pool[2].bias.data[:] = 4, -6
    net = torch.nn.Sequential(torch.nn.Unflatten(1, (1, -1)), conv, *pool, torch.nn.Sigmoid())
    return WaveformListener(net, sample_rate=8000, seconds=0.5, output_names=["whistle"])
