"""Which window-less OpenGL a process uses: EGL or OSMesa, one of them for its whole life.

PyOpenGL binds to a library when it is first imported, by ``PYOPENGL_PLATFORM``. So every user of
OpenGL here (our rasteriser, pyrender) asks this file before its first import.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Literal

GlPlatform = Literal["egl", "osmesa"]

_LIBRARIES: dict[GlPlatform, str] = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
_REMEDY = "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri, or libosmesa6"


def choose_platform(wanted: GlPlatform | None = None) -> GlPlatform:
    """Settle the process on an OpenGL platform, before OpenGL is imported.

    Without a wish it is the one that already runs, else what ``PYOPENGL_PLATFORM`` says, else EGL
    where its library is installed, else OSMesa. Sets ``PYOPENGL_PLATFORM`` for what imports OpenGL
    afterwards and for child processes.

    Raises:
        RuntimeError: OpenGL already runs in this process on another platform, or there is none.
    """
    running = running_platform()
    if running is not None:
        if running not in _LIBRARIES or wanted not in (None, running):
            raise RuntimeError(
                f"OpenGL was already imported in this process on the platform {running!r}, "
                f"expected {wanted or 'egl or osmesa'}: set PYOPENGL_PLATFORM before anything "
                "imports OpenGL or pyrender, or use another process"
            )
        chosen = running
    else:
        chosen = wanted or _preferred()
        if not _is_installed(chosen):
            raise RuntimeError(f"{chosen} needs {_LIBRARIES[chosen]}: {_REMEDY}")
    os.environ["PYOPENGL_PLATFORM"] = chosen
    return chosen


def running_platform() -> GlPlatform | str | None:
    """The platform PyOpenGL is bound to in this process, None if it was not imported yet."""
    module = sys.modules.get("OpenGL.platform")
    if module is None:
        return None
    class_name = type(module.PLATFORM).__name__
    return {"EGLPlatform": "egl", "OSMesaPlatform": "osmesa"}.get(class_name, class_name)


def _preferred() -> GlPlatform:
    asked = os.environ.get("PYOPENGL_PLATFORM")
    for platform in _LIBRARIES:
        if asked == platform or (not asked and _is_installed(platform)):
            return platform
    if asked:
        raise RuntimeError(f"expected PYOPENGL_PLATFORM to be egl or osmesa, got {asked!r}")
    raise RuntimeError(f"no window-less OpenGL found ({', '.join(_LIBRARIES.values())}): {_REMEDY}")


def _is_installed(platform: GlPlatform) -> bool:
    try:
        ctypes.CDLL(_LIBRARIES[platform])
    except OSError:
        return False
    return True
