"""Let the times of a file's packets grow, also where files were joined and begin again."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

_BACK_S = Fraction(1, 10)  # a packet that is earlier than the one before by more begins again
_GAP_S = 10  # a longer gap is a joint in formats whose times may jump, as for ffmpeg
_DENSE = ("video", "audio")  # subtitles are too sparse to show a joint
_TIMES_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT: MPEG transport and program streams


class Timeline:
    """Shifts the times of packets so that each part of a joined file follows the one before it.

    All packets of a file must pass in their order. The same file gives the same shifts to each reader.

    Attributes:
        restarts: how often the times began again.
        end_s: end of the latest packet, shifted.
        has_durations: False if any packet of the video or audio had none.
    """

    def __init__(self, container: Any) -> None:
        self.restarts = 0
        self.end_s = Fraction(0)
        self.has_durations = True
        self._has_gaps = not container.format.flags & _TIMES_MAY_JUMP
        self._offsets_s = [Fraction(0)]  # by part
        self._parts: dict[int, int] = {}  # by stream, as below
        self._latest_s: dict[int, Fraction] = {}  # decoding time of the latest packet, not shifted
        self._ends_s: dict[int, Fraction] = {}  # its end

    def shift(self, packet: Any) -> None:
        """Shift a packet's times in place."""
        unit, index = packet.time_base, packet.stream.index
        if packet.dts is not None:
            self._parts[index] = self._part(packet.stream, packet.dts * unit)
            self._latest_s[index] = packet.dts * unit
        offset_s = self._offsets_s[self._parts.get(index, -1)]
        if packet.pts is not None:
            duration = packet.duration or 0
            self._ends_s[index] = (packet.pts + duration) * unit
            if packet.stream.type in _DENSE:
                self.end_s = max(self.end_s, self._ends_s[index] + offset_s)
                self.has_durations &= duration > 0
        if ticks := round(offset_s / unit):
            if packet.dts is not None:
                packet.dts += ticks
            if packet.pts is not None:
                packet.pts += ticks

    def part_of(self, stream: Any) -> int:
        """Return the part of the file that the latest packet of a stream is of, from 0."""
        return self._parts.get(stream.index, 0)

    def _part(self, stream: Any, time_s: Fraction) -> int:
        """Return the part of the file that a packet is of; the first one of a new part sets its offset."""
        newest = len(self._offsets_s) - 1
        part = self._parts.get(stream.index)
        if part is None or stream.type not in _DENSE:
            return newest
        latest_s = self._latest_s[stream.index]
        goes_back = time_s < latest_s - _BACK_S
        jumps = not self._has_gaps and time_s > self._ends_s.get(stream.index, latest_s) + _GAP_S
        if not (goes_back or jumps):
            return part
        if part == newest:
            self._offsets_s.append(self.end_s - time_s)
            self.restarts += 1
        return part + 1
