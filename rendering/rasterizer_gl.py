"""The OpenGL rasteriser: one pass with several render targets, no window.

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

import numba
import numpy as np
from jaxtyping import Float32
from OpenGL import GL
from OpenGL.error import Error

from dataset.records import Camera
from rendering.colours import vertex_colours
from rendering.coverage import covered_rectangle
from rendering.gl_platform import GlPlatform, choose_platform
from rendering.mesh import Mesh, vertex_normals
from rendering.rasterizer import NEAR_METRES, Buffers, check_scene, empty_buffers
from rendering.shaders import FRAGMENT_SHADER, VERTEX_SHADER


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """An OpenGL context: how it becomes the thread's, how it is let go, how it is destroyed."""

    make_current: Callable[[], None]
    release: Callable[[], None]
    destroy: Callable[[], None]


class GlRasterizer:
    """Draws with OpenGL 3.3; keeps its context, the last mesh and the last picture size.

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
        self._mesh: Mesh | None = None
        self._size = (0, 0)
        with self._current():
            renderer = bytes(GL.glGetString(GL.GL_RENDERER) or b"").decode()
            self.software = any(name in renderer for name in ("llvmpipe", "softpipe", "swrast"))
            self._program = _compile_program()
            self._uniforms = {
                name: GL.glGetUniformLocation(self._program, name)
                for name in ("scale", "near_far", "triangle_parts")
            }
            self._buffers = [int(name) for name in GL.glGenBuffers(5)]
            self._textures = [int(name) for name in GL.glGenTextures(4)]
            self._vertex_array = GL.glGenVertexArrays(1)
            self._framebuffer = GL.glGenFramebuffers(1)

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

    def rasterize(
        self, vertices: Float32[np.ndarray, "frames vertices 3"], mesh: Mesh, camera: Camera
    ) -> Buffers:
        """Draw every frame of ``vertices``: camera space, metres, translation added.

        Raises:
            ValueError: vertices of another mesh, not finite, or a camera without a picture.
        """
        check_scene(vertices, mesh, camera)
        buffers = empty_buffers(len(vertices), camera)
        with self._current():
            self._upload_mesh(mesh)
            self._resize(camera.width, camera.height)
            for frame, positions in enumerate(vertices):
                rectangle = covered_rectangle(positions, camera)
                if rectangle is None:
                    continue
                self._draw(positions, mesh, camera)
                left, top, _, _ = rectangle
                normal_and_z, colour_and_part = self._read(rectangle)
                _unpack(
                    (normal_and_z, colour_and_part, top, left),
                    (buffers.z[frame], buffers.normal[frame], buffers.semantic[frame]),
                    (buffers.mask[frame], buffers.part[frame]),
                )
        return buffers

    def _upload_mesh(self, mesh: Mesh) -> None:
        if mesh is self._mesh:
            return
        positions, normals, colours, indices, parts = self._buffers
        GL.glBindVertexArray(self._vertex_array)
        for location, buffer in enumerate((positions, normals, colours)):
            GL.glBindBuffer(GL.GL_ARRAY_BUFFER, buffer)
            GL.glBufferData(GL.GL_ARRAY_BUFFER, 12 * mesh.vertices, None, GL.GL_STREAM_DRAW)
            GL.glVertexAttribPointer(location, 3, GL.GL_FLOAT, GL.GL_FALSE, 0, None)
            GL.glEnableVertexAttribArray(location)
        self._write(colours, vertex_colours(mesh.vertex_parts))
        GL.glBindBuffer(GL.GL_ELEMENT_ARRAY_BUFFER, indices)
        triangles = np.ascontiguousarray(mesh.triangles)
        GL.glBufferData(GL.GL_ELEMENT_ARRAY_BUFFER, triangles.nbytes, triangles, GL.GL_STATIC_DRAW)
        triangle_parts = mesh.triangle_parts()
        GL.glBindBuffer(GL.GL_TEXTURE_BUFFER, parts)
        GL.glBufferData(
            GL.GL_TEXTURE_BUFFER, triangle_parts.nbytes, triangle_parts, GL.GL_STATIC_DRAW
        )
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._textures[3])
        GL.glTexBuffer(GL.GL_TEXTURE_BUFFER, GL.GL_R32I, parts)
        self._mesh = mesh

    def _resize(self, width: int, height: int) -> None:
        if (width, height) == self._size:
            return
        largest = GL.glGetIntegerv(GL.GL_MAX_TEXTURE_SIZE)
        if max(width, height) > largest:
            raise ValueError(
                f"expected a picture of at most {largest} pixels a side, got {width} x {height}: "
                "use the cpu backend"
            )
        formats = (
            (GL.GL_COLOR_ATTACHMENT0, GL.GL_RGBA32F, GL.GL_RGBA),
            (GL.GL_COLOR_ATTACHMENT1, GL.GL_RGBA32F, GL.GL_RGBA),
            (GL.GL_DEPTH_ATTACHMENT, GL.GL_DEPTH_COMPONENT32F, GL.GL_DEPTH_COMPONENT),
        )
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        for texture, (attachment, stored, given) in zip(self._textures, formats, strict=False):
            GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
            GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, stored, width, height, 0, given, GL.GL_FLOAT, None)
            GL.glTexParameteri(GL.GL_TEXTURE_2D, GL.GL_TEXTURE_MIN_FILTER, GL.GL_NEAREST)
            GL.glFramebufferTexture2D(GL.GL_FRAMEBUFFER, attachment, GL.GL_TEXTURE_2D, texture, 0)
        GL.glDrawBuffers(2, (GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1))
        if GL.glCheckFramebufferStatus(GL.GL_FRAMEBUFFER) != GL.GL_FRAMEBUFFER_COMPLETE:
            raise RuntimeError("this OpenGL cannot draw into float textures: use the cpu backend")
        self._size = (width, height)

    def _write(self, buffer: int, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values, dtype=np.float32)
        GL.glBindBuffer(GL.GL_ARRAY_BUFFER, buffer)
        GL.glBufferSubData(GL.GL_ARRAY_BUFFER, 0, values.nbytes, values)

    def _draw(self, positions: np.ndarray, mesh: Mesh, camera: Camera) -> None:
        self._write(self._buffers[0], positions)
        self._write(self._buffers[1], vertex_normals(positions[None], mesh.triangles)[0])
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._framebuffer)
        GL.glViewport(0, 0, camera.width, camera.height)
        GL.glDisable(GL.GL_BLEND)
        GL.glDisable(GL.GL_CULL_FACE)
        GL.glEnable(GL.GL_DEPTH_TEST)
        GL.glFrontFace(GL.GL_CW)  # counter-clockwise from outside, in a picture drawn with y down
        GL.glClearColor(0, 0, 0, 0)
        GL.glClear(int(GL.GL_COLOR_BUFFER_BIT) | int(GL.GL_DEPTH_BUFFER_BIT))
        GL.glUseProgram(self._program)
        f = 2 * camera.focal_length_px
        GL.glUniform2f(self._uniforms["scale"], f / camera.width, f / camera.height)
        near = max(NEAR_METRES, 0.999 * float(positions[:, 2].min()))
        far = 1.001 * float(positions[:, 2].max()) + near
        GL.glUniform2f(self._uniforms["near_far"], near, far)
        GL.glActiveTexture(GL.GL_TEXTURE0)
        GL.glBindTexture(GL.GL_TEXTURE_BUFFER, self._textures[3])
        GL.glUniform1i(self._uniforms["triangle_parts"], 0)
        GL.glBindVertexArray(self._vertex_array)
        GL.glDrawElements(GL.GL_TRIANGLES, mesh.triangles.size, GL.GL_UNSIGNED_INT, None)

    def _read(self, rectangle: tuple[int, int, int, int]) -> list[np.ndarray]:
        left, top, width, height = rectangle
        pictures = []
        for attachment in (GL.GL_COLOR_ATTACHMENT0, GL.GL_COLOR_ATTACHMENT1):
            picture = np.empty((height, width, 4), np.float32)
            GL.glReadBuffer(attachment)
            GL.glReadPixels(left, top, width, height, GL.GL_RGBA, GL.GL_FLOAT, picture)
            pictures.append(picture)
        return pictures

    def close(self) -> None:
        """Destroy the context and all that lives in it; other contexts of the process go on."""
        self._context.destroy()


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


@numba.njit(cache=True, nogil=True)
def _unpack(targets, values, labels) -> None:
    """Put what was read of the two targets, from a corner on, into one frame of the buffers."""
    normal_and_z, colour_and_part, top, left = targets
    z, normal, semantic = values
    mask, part = labels
    for row in range(normal_and_z.shape[0]):
        i = top + row
        for column in range(normal_and_z.shape[1]):
            j = left + column
            if normal_and_z[row, column, 3] > 0.0:
                z[i, j] = normal_and_z[row, column, 3]
                for k in range(3):
                    normal[i, j, k] = normal_and_z[row, column, k]
                    semantic[i, j, k] = colour_and_part[row, column, k]
                mask[i, j] = True
                part[i, j] = np.int8(colour_and_part[row, column, 3])
