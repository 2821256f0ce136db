"""OpenGL finds which triangle each pixel sees: one pass into an integer picture, no window.

The only file that imports OpenGL, and PyOpenGL binds to a library at its first import: import this
file only after ``gl_platform.choose_platform``, as ``open_rasterizer`` does. Contexts come from EGL
(a GPU, or Mesa's software) or OSMesa (software). A context belongs to its process: open a
rasteriser in each worker, and start workers by spawning, because a fork after OpenGL was used hangs
in the driver. Mesa's software takes its threads from ``LP_NUM_THREADS`` when the first context is
made: set it to 1 where many workers share a machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from OpenGL import GL
from OpenGL.error import Error

from dataset.records import Camera
from rendering.buffers import NEAR_METRES
from rendering.coverage import Candidates
from rendering.gl_platform import GlPlatform, choose_platform
from rendering.shaders import FRAGMENT_SHADER, VERTEX_SHADER


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """An OpenGL context: how it becomes the thread's, how it is let go, how it is destroyed."""

    make_current: Callable[[], None]
    release: Callable[[], None]
    destroy: Callable[[], None]


class GlVisibility:
    """Draws with OpenGL 3.3; keeps its context and a picture as large as the largest it drew.

    ``software`` tells whether Mesa's software draws, and no GPU.

    Args:
        platform: ``"egl"`` or ``"osmesa"``; None for what ``choose_platform`` prefers.
        device_index: Which of EGL's devices (GPUs first) draws; None: ``EGL_DEVICE_ID``, else 0.

    Raises:
        RuntimeError: there is no such platform or device here, or OpenGL runs on another one.
    """

    def __init__(self, platform: GlPlatform | None = None, device_index: int | None = None) -> None:
        self.name: str = choose_platform(platform)
        if device_index is None:
            device_index = int(os.environ.get("EGL_DEVICE_ID", "0"))
        self._context = _open_egl(device_index) if self.name == "egl" else _open_osmesa()
        self._process = os.getpid()
        self._size = (0, 0)
        self._owner = np.empty(0, np.int32)
        with self._current():
            renderer = bytes(GL.glGetString(GL.GL_RENDERER) or b"").decode()
            self.software = any(name in renderer for name in ("llvmpipe", "softpipe", "swrast"))
            self._largest = int(GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE))
            program = _compile_program()
            self._scale = GL.glGetUniformLocation(program, "scale")
            self._near_far = GL.glGetUniformLocation(program, "near_far")
            self._textures = [int(name) for name in GL.glGenTextures(2)]
            GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, GL.glGenFramebuffers(1))
            self._positions, self._corners = (int(name) for name in GL.glGenBuffers(2))
            _set_state(program, self._positions, self._corners)

    @contextmanager
    def _current(self) -> Iterator[None]:
        if os.getpid() != self._process:
            raise RuntimeError(
                "an OpenGL rasteriser cannot be used after a fork: open one in each process"
            )
        self._context.make_current()
        try:
            yield
        finally:
            self._context.release()

    def find_owners(
        self,
        candidates: Candidates,
        positions: Float32[np.ndarray, "vertices 3"],
        camera: Camera,
    ) -> Int32[np.ndarray, "height width"]:
        """The nearest candidate of each pixel of their rectangle, -1 for none; until called again.

        Raises:
            ValueError: the rectangle is larger than this OpenGL can draw.
        """
        _, _, width, height = candidates.rectangle
        if self._owner.size < width * height:
            self._owner = np.empty(width * height, np.int32)
        owner = self._owner[: width * height].reshape(height, width)
        with self._current():
            self._make_room(width, height)
            self._draw(candidates, positions, camera)
            GL.glReadPixels(0, 0, width, height, GL.GL_RED_INTEGER, GL.GL_INT, owner)
        return owner

    def _make_room(self, width: int, height: int) -> None:
        if width <= self._size[0] and height <= self._size[1]:
            return
        if max(width, height) > self._largest:
            raise ValueError(
                f"expected a body of at most {self._largest} pixels a side, got {width} x {height}:"
                " use the cpu backend"
            )
        width, height = max(width, self._size[0]), max(height, self._size[1])
        owner = (GL.GL_COLOR_ATTACHMENT0, GL.GL_R32I, GL.GL_RED_INTEGER, GL.GL_INT)
        depth = (
            GL.GL_DEPTH_ATTACHMENT, GL.GL_DEPTH_COMPONENT32F, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT
        )  # fmt: skip
        for texture, (attachment, stored, given, kind) in zip(
            self._textures, (owner, depth), strict=True
        ):
            GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
            GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, stored, width, height, 0, given, kind, None)
            GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_NEAREST)
            GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, attachment, GL.GL_TEXTURE_2D, texture, 0)
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError("this OpenGL cannot draw into integer textures: use the cpu backend")
        self._size = (width, height)

    def _draw(self, candidates: Candidates, positions: np.ndarray, camera: Camera) -> None:
        left, top, width, height = candidates.rectangle
        corners = candidates.corners
        GL.glBufferData(GL.GL_ARRAY_BUFFER, positions.nbytes, positions, GL.GL_STREAM_DRAW)
        GL.glBufferData(GL.GL_ELEMENT_ARRAY_BUFFER, corners.nbytes, corners, GL.GL_STREAM_DRAW)
        GL.glViewport(-left, -top, camera.width, camera.height)
        GL.glScissor(0, 0, width, height)
        GL.glClearBufferiv(GL.GL_COLOR, 0, _NO_OWNER)
        GL.glClear(GL.GL_DEPTH_BUFFER_BIT)
        f = 2 * camera.focal_length_px
        GL.glUniform2f(self._scale, f / camera.width, f / camera.height)
        near = max(NEAR_METRES, 0.999 * float(positions[:, 2].min()))
        far = 1.001 * float(positions[:, 2].max()) + near
        GL.glUniform2f(self._near_far, near, far)
        GL.glDrawElements(GL.GL_TRIANGLES, corners.size, GL.GL_UNSIGNED_INT, None)

    def close(self) -> None:
        """Destroy the context and all that lives in it; other contexts of the process go on."""
        self._context.destroy()


_NO_OWNER = np.full(4, -1, np.int32)


def _set_state(program: int, positions: int, corners: int) -> None:
    """Set once what never changes: the context is the rasteriser's own."""
    GL.glUseProgram(program)
    GL.glBindVertexArray(GL.glGenVertexArrays(1))
    GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, corners)
    GL.glBindBuffer(GL.GL_ARRAY_BUFFER, positions)
    GL.glVertexAttribPointer(0, 3, GL.GL_FLOAT, GL.GL_FALSE, 0, None)
    GL.glEnableVertexAttribArray(0)
    GL.glEnable(GL.GL_DEPTH_TEST)
    GL.glEnable(GL.GL_SCISSOR_TEST)


def _compile_program() -> int:
    program = int(GL.glCreateProgram() or 0)
    for kind, source in (
        (GL.GL_VERTEX_SHADER, VERTEX_SHADER),
        (GL.GL_FRAGMENT_SHADER, FRAGMENT_SHADER),
    ):
        shader = GL.glCreateShader(kind)
        GL.glShaderSource(shader, source)
        GL.glCompileShader(shader)
        GL.glAttachShader(program, shader)
    GL.glLinkProgram(program)
    if not GL.glGetProgramiv(program, GL.GL_LINK_STATUS):
        raise RuntimeError(f"this OpenGL refuses our shaders: {GL.glGetProgramInfoLog(program)}")
    return program


def _open_egl(device_index: int) -> _Context:
    """A context without a surface on one of EGL's devices."""
    from OpenGL import EGL
    from OpenGL.EGL.EXT.device_base import egl_get_devices
    from OpenGL.EGL.EXT.platform_base import eglGetPlatformDisplayEXT
    from OpenGL.EGL.EXT.platform_device import EGL_PLATFORM_DEVICE_EXT

    config, found = (EGL.EGLConfig * 1)(), EGL.EGLint()
    wanted = (EGL.EGL_RENDERABLE_TYPE, EGL.EGL_OPENGL_BIT, EGL.EGL_SURFACE_TYPE, 0, EGL.EGL_NONE)
    attributes = (
        EGL.EGL_CONTEXT_MAJOR_VERSION, 3, EGL.EGL_CONTEXT_MINOR_VERSION, 3,
        EGL.EGL_CONTEXT_OPENGL_PROFILE_MASK, EGL.EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT, EGL.EGL_NONE,
    )  # fmt: skip
    try:
        devices = egl_get_devices(64)
        if not 0 <= device_index < len(devices):
            raise RuntimeError(
                f"expected an EGL device index under {len(devices)}, got {device_index}: "
                "see EGL_DEVICE_ID"
            )
        display = eglGetPlatformDisplayEXT(EGL_PLATFORM_DEVICE_EXT, devices[device_index], None)
        EGL.eglInitialize(display, EGL.EGLint(), EGL.EGLint())
        EGL.eglChooseConfig(display, (EGL.EGLint * len(wanted))(*wanted), config, 1, found)
        EGL.eglBindAPI(EGL.EGL_OPENGL_API)
        context = EGL.eglCreateContext(
            display, config[0], EGL.EGL_NO_CONTEXT, (EGL.EGLint * len(attributes))(*attributes)
        )
    except Error as error:
        raise RuntimeError(f"EGL device {device_index} gives no OpenGL 3.3: {error}") from error

    def make_current(current: object) -> None:
        EGL.eglMakeCurrent(display, EGL.EGL_NO_SURFACE, EGL.EGL_NO_SURFACE, current)

    # The display stays initialised: it is shared with every other context of the process.
    return _Context(
        make_current=lambda: make_current(context),
        release=lambda: make_current(EGL.EGL_NO_CONTEXT),
        destroy=lambda: EGL.eglDestroyContext(display, context),
    )


def _open_osmesa() -> _Context:
    """A context in Mesa's software renderer, with a tiny picture that nothing is drawn into."""
    from OpenGL import osmesa

    attributes = (
        osmesa.OSMESA_FORMAT, osmesa.OSMESA_RGBA, osmesa.OSMESA_PROFILE, osmesa.OSMESA_CORE_PROFILE,
        osmesa.OSMESA_CONTEXT_MAJOR_VERSION, 3, osmesa.OSMESA_CONTEXT_MINOR_VERSION, 3, 0,
    )  # fmt: skip
    context = osmesa.OSMesaCreateContextAttribs((GL.GLint * len(attributes))(*attributes), None)
    if not context:
        raise RuntimeError("OSMesa gives no OpenGL 3.3 context")
    picture = (GL.GLubyte * 4)()

    def make_current() -> None:
        if not osmesa.OSMesaMakeCurrent(context, picture, GL.GL_UNSIGNED_BYTE, 1, 1):
            raise RuntimeError("OSMesa cannot make its context current")

    return _Context(
        make_current=make_current,
        release=lambda: osmesa.OSMesaMakeCurrent(None, None, GL.GL_UNSIGNED_BYTE, 0, 0),
        destroy=lambda: osmesa.OSMesaDestroyContext(context),
    )
