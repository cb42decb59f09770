"""An RTSP server by GStreamer: what is published at /camera is played to others at /play.

/usr/bin/python3 rtsp_relay.py PORT UDP_PORT [USER PASSWORD]; prints "ready" when it can be reached. UDP_PORT
is a free one, between its two ends. With a user, publishing needs the password.
"""

from __future__ import annotations

import sys

CAPS = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96"
RECORD = (
    "( rtph264depay name=depay0 ! h264parse config-interval=-1 ! rtph264pay pt=96 config-interval=-1 "
    "! udpsink host=127.0.0.1 port={port} sync=false async=false )"
)
PLAY = (
    '( udpsrc address=127.0.0.1 port={port} caps="{caps}" ! rtph264depay ! h264parse config-interval=-1 '
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


def main() -> None:
    """Serve until killed."""
    import gi  # pyright: ignore[reportMissingImports]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # pyright: ignore[reportMissingImports]

    port, udp_port, *login = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_thread_pool().set_max_threads(4)  # a reader that waits for a key frame holds up its thread
    factories = {"/camera": GstRtspServer.RTSPMediaFactory(), "/play": GstRtspServer.RTSPMediaFactory()}
    factories["/camera"].set_launch(RECORD.format(port=udp_port))
    factories["/camera"].set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factories["/camera"].set_latency(0)
    factories["/play"].set_launch(PLAY.format(port=udp_port, caps=CAPS))
    factories["/play"].set_shared(True)
    if login:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "publisher")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("publisher", "media.factory.access", True)
        permissions.add_permission_for_role("publisher", "media.factory.construct", True)
        for factory in factories.values():
            factory.set_permissions(permissions)
    for path, factory in factories.items():
        factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
        server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        sys.exit(f"port {port} is in use")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
