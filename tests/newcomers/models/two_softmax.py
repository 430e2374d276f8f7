from torch import nn

from otoscope.models import Listener
from otoscope.signal import librosa_mel


def make():
    conv = nn.Conv2d(1, 2, (5, 40))  # [batch, 1, frame, mel]: a filter for each class
    conv.weight.data.zero_()[1, ..., 27:30] = 0.1
    conv.bias.data[0], conv.bias.data[1] = 0.0, 8.5
    net = nn.Sequential(conv, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Softmax(1))
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=40)
    return Listener(net, front_end, seconds=0.5, output_names=["other", "whistle"])
