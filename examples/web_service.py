"""Run a web service: post a noisy image, get a clean one.

pip install fastapi uvicorn
uvicorn --app-dir examples web_service:app
curl --data-binary @noisy.png 'http://127.0.0.1:8000/denoise?strength=0.9' -o clean.png

The model is loaded once. While one image is denoised the event loop takes others in; they wait in order.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Query, Request, Response
from n2b.runtime import Denoiser, Image, ImageError, read_image, write_image

_LARGEST_BYTES = 64 << 20


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The model lives as long as the service."""
    with Denoiser("gaussian") as denoise:
        app.state.denoise = denoise
        yield


app = FastAPI(title="n2b", lifespan=lifespan)


@app.post("/denoise", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def denoise(request: Request, strength: float = Query(1.0, ge=0, le=1)) -> Response:
    """Denoise the image in the body (PNG, JPEG, TIFF, WebP or BMP); the answer is a PNG."""
    data = await _body(request)
    try:
        noisy = await asyncio.to_thread(_decode, data)
        clean = await request.app.state.denoise.adenoise(noisy.pixels, strength)
    except ImageError as error:
        raise HTTPException(422, str(error)) from error
    return Response(await asyncio.to_thread(_encode, noisy.with_pixels(clean)), media_type="image/png")


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > _LARGEST_BYTES:
            raise HTTPException(413, f"the limit is {_LARGEST_BYTES >> 20} MB per image")
    return bytes(data)


def _decode(data: bytes) -> Image:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        path.write_bytes(data)
        return read_image(path)


def _encode(image: Image) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clean.png")
        write_image(path, image)
        return path.read_bytes()
