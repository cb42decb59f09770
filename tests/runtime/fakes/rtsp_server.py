"""An RTSP server with a noisy image at rtsp://127.0.0.1:PORT/noisy, by GStreamer's library.

/usr/bin/python3 rtsp_server.py PORT WIDTH HEIGHT; prints "ready" when it can be reached.
"""

from __future__ import annotations

import sys

PIPELINE = (
    "( videotestsrc is-live=true pattern=smpte ! video/x-raw,width={width},height={height},framerate=15/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! rtph264pay name=pay0 pt=96 "
    "config-interval=1 )"
)


def main() -> None:
    """Serve until killed."""
    import gi  # pyright: ignore[reportMissingImports]

    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # pyright: ignore[reportMissingImports]

    port, width, height = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(width=width, height=height))
    server.get_mount_points().add_factory("/noisy", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is in use")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
