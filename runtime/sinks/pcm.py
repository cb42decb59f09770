"""Write an audio stream as PCM, for codecs that the format takes in no other way."""

from __future__ import annotations

from typing import Any

from ..system.packages import load_av

_ENCODERS = {
    "u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le",
}  # fmt: skip


class PCMCopy:
    """Decodes the packets of a stream and encodes the same samples as PCM.

    Attributes:
        stream: of the output container.
        name: of the encoding.
    """

    def __init__(self, container: Any, original: Any) -> None:
        av = self._av = load_av()
        self._original = original
        packed = original.codec_context.format.packed.name
        packed = packed if packed in _ENCODERS else "s16"
        self.name = _ENCODERS[packed]
        rate, layout = original.codec_context.sample_rate, original.codec_context.layout
        self.stream = container.add_stream(self.name, rate=rate, layout=layout, format=packed)
        self._resampler = av.AudioResampler(format=packed, layout=layout, rate=rate)

    def encode(self, packet: Any) -> list[Any]:
        """Return the encoded packets of a packet; None: the remaining ones. Damaged ones give none."""
        try:
            frames = self._original.decode(packet)
        except self._av.error.InvalidDataError:
            frames = []
        encoded: list[Any] = []
        for frame in frames:
            for samples in self._resampler.resample(frame):
                encoded += self.stream.encode(samples)
        return encoded if packet is not None else encoded + self.stream.encode(None)
