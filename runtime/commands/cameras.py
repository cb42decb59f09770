"""n2b-infer over the frames of several cameras, with one model."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..system.console import print_to_stderr
from .camera import open_sinks, stream_line
from .camera_plan import CameraPlan, plan_cameras
from .session import open_denoiser
from .settings import CameraOptions, DenoiserOptions

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from ..pipelines.streams import Stream
    from ..preview.sink import Page
    from ..sources.newest import Opener
    from ..system.signals import Stop
    from .report import RunReport

_logger = logging.getLogger(__name__)


def run_cameras(
    cameras: CameraOptions, folder: Path | None, options: DenoiserOptions
) -> tuple[Denoiser, dict[str, RunReport]]:
    """Denoise the frames of several cameras until all end; Ctrl-C and SIGTERM end them cleanly.

    Returns:
        The denoiser, and the report of each camera by its name.

    Raises:
        UserError: the options do not fit several cameras.
    """
    from ..pipelines.streams import denoise_streams
    from ..sources.newest import NewestFrames
    from ..system.signals import Stop
    from .report import FRAMES_KEPT, RunReport

    plans = plan_cameras(cameras, folder, options.strength)
    _check(cameras, plans, options)
    stop = Stop()
    with ExitStack() as held:
        openers = {plan.name: _opener(plan, stop) for plan in plans}
        page = held.enter_context(closing(_open_page(cameras))) if cameras.serve is not None else None
        streams = {plan.name: _open_stream(plan, page, cameras.frames, held) for plan in plans}
        denoiser = held.enter_context(open_denoiser(options.for_camera(), None))
        reports = {plan.name: RunReport(keep=FRAMES_KEPT) for plan in plans}
        if cameras.max_seconds is not None:
            stop.request_after(cameras.max_seconds)
        held.enter_context(stop.on_signals())
        frames = held.enter_context(closing(NewestFrames(openers, stop)))
        try:
            with closing(denoise_streams(frames, denoiser, streams)) as results:
                for name, frame in results:
                    reports[name].add(frame)
        except KeyboardInterrupt:
            stop.by_signal = True
        if stop.by_signal:
            _logger.warning("interrupted; this is the end of the frames")
    for name, report in reports.items():
        report.stream = streams[name].meter.stats()
        error = frames.ended.get(name)
        if error is not None or not report.stream.frames:
            report.failed += 1
            _logger.warning(f"camera {name} ended: {error or 'it gave no frame'}")
        print_to_stderr(f"{name}: {stream_line(report.stream)}")
    return denoiser, reports


def print_cameras(
    reports: dict[str, RunReport], denoiser: Denoiser, asked: DenoiserOptions, as_json: bool
) -> None:
    """Print what became of each camera: one line of text or of JSON."""
    from .report import to_json

    for name, report in reports.items():
        if as_json:
            print(json.dumps({"camera": name, **json.loads(to_json(report, denoiser, asked.arguments()))}))
        else:
            print(f"{name}: {report.summary()}")


def _check(cameras: CameraOptions, plans: list[CameraPlan], options: DenoiserOptions) -> None:
    if cameras.show:
        raise UserError("--show is for one camera; several are shown by --serve 8080")
    if options.dark:
        raise UserError("--dark is for one camera, since dark frames are those of one sensor; leave it out")
    places = ([plan.folder, plan.record, plan.restream, plan.virtual_camera, cameras.serve] for plan in plans)
    if not cameras.headless and any(all(place is None for place in some) for some in places):
        raise UserError("several cameras have no window; add --serve 8080, -o DIR, --record or --restream")


def _opener(plan: CameraPlan, stop: Stop) -> Opener:
    from ..sources import find_input, frames
    from ..sources.newest import Opener

    found = find_input(plan.address)  # a wrong name ends the run now
    return Opener(partial(frames, plan.address, plan.requested, stop=stop), is_live=found.is_camera)


def _open_page(cameras: CameraOptions) -> Page:
    from ..preview.sink import Page

    assert cameras.serve is not None
    page = Page(cameras.serve, token_file=cameras.serve_token)
    print_to_stderr(f"live page: {page.url}")
    return page


def _open_stream(plan: CameraPlan, page: Page | None, limit: int | None, held: ExitStack) -> Stream:
    from ..controls import Controls
    from ..pipelines.streams import Stream

    stream = Stream([], Controls(plan.strength), limit=limit)
    held.callback(stream.close)
    for sink in open_sinks(plan.folder, plan.record, plan.restream, plan.virtual_camera):
        stream.sinks.append(stream.resources.enter_context(closing(sink)))
    if page is not None:
        stream.sinks.append(page.camera(plan.name, stream.controls, stream.meter))
    return stream
