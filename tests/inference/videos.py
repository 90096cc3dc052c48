"""Small videos and a local web server for tests."""

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

# FFmpeg asks once a process; sources.py sets it as well, but here a video may be read before.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def make_video(path, frames=7, fps=10.0, hw=(48, 64), codec="MJPG"):
    """A video whose frames are gray and 20 levels brighter each, modulo 256."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, hw[::-1])
    for index in range(frames):
        writer.write(np.full((*hw, 3), 20 * index % 256, np.uint8))
    writer.release()
    return path


def read_video(path):
    """All frames (n, height, width, 3) and the frame rate."""
    capture, frames = cv2.VideoCapture(str(path)), []
    fps = capture.get(cv2.CAP_PROP_FPS)
    while True:
        ok, frame = capture.read()
        if not ok:
            return np.array(frames), fps
        frames.append(frame)


@contextmanager
def serve(pages):
    """A server on 127.0.0.1; `pages` maps a path to its content type and its chunks of bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path.split("?")[0])
            if page is None:
                self.send_error(404)
                return
            kind, chunks = page
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(chunk)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
