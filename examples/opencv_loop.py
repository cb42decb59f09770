"""Denoise a camera or a video in a loop of OpenCV's own: BGR in, BGR out, into the same memory each time.

python examples/opencv_loop.py 0                      the first camera, in a window; q ends it
python examples/opencv_loop.py video.mp4 -o clean.avi  a video, written as Motion JPEG
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from n2b.runtime import Denoiser


def main() -> None:
    """Run the loop until the source or the user ends it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a camera's number, a video, or an address")
    parser.add_argument("-o", "--out", type=Path, help="an .avi file; default: a window")
    parser.add_argument("--model", default="camera", help="a model's file or name")
    arguments = parser.parse_args()
    capture = cv2.VideoCapture(int(arguments.source) if arguments.source.isdecimal() else arguments.source)
    if not capture.isOpened():
        raise SystemExit(f"{arguments.source} does not open")
    writer, clean, count = None, None, 0
    with Denoiser(arguments.model, channels="bgr") as denoise:
        while True:
            is_frame, frame = capture.read()
            if not is_frame:
                break
            if clean is None or clean.shape != frame.shape:
                clean = np.empty_like(frame)
            denoise(frame, out=clean)
            count += 1
            if arguments.out is None:
                cv2.imshow("n2b", clean)
                if cv2.waitKey(1) & 0xFF == ord("q"):
                    break
                continue
            if writer is None:
                size = (frame.shape[1], frame.shape[0])
                codec = cv2.VideoWriter.fourcc(*"MJPG")
                writer = cv2.VideoWriter(str(arguments.out), codec, capture.get(cv2.CAP_PROP_FPS) or 30, size)
            writer.write(clean)
    capture.release()
    if writer is not None:
        writer.release()
    print(f"{count} frames denoised")


if __name__ == "__main__":
    main()
