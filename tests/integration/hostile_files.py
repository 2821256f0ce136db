"""300 files that no video pipeline should trip over, the same ones every time.

Damaged copies of small real videos of ten containers, headers that lie, files that refer to other
files and to addresses, and things that are no files at all.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

FRAMES, WIDTH, HEIGHT = 24, 96, 64
_CONTAINERS = {  # name: container, codec, pixel format, options
    "front.mp4": ("mp4", "libx264", "yuv420p", {"movflags": "+faststart"}),
    "back.mp4": ("mp4", "libx264", "yuv420p", {}),
    "a.mov": ("mov", "png", "rgb24", {}),
    "a.mkv": ("matroska", "ffv1", "bgr0", {}),
    "a.webm": ("webm", "libvpx", "yuv420p", {}),
    "a.avi": ("avi", "mpeg4", "yuv420p", {}),
    "a.ts": ("mpegts", "mpeg2video", "yuv420p", {}),
    "a.flv": ("flv", "flv", "yuv420p", {}),
    "a.gif": ("gif", "gif", "rgb8", {}),
    "a.wmv": ("asf", "wmv2", "yuv420p", {}),
}


def write_hostile_files(folder: Path, *, canary: Path, address: str) -> list[Path]:
    """Write all of them.

    Args:
        folder: Where to.
        canary: A real video that the hostile ones refer to and that nobody may open.
        address: ``host:port`` that they refer to and that nobody may call.
    """
    base = {name: _video(folder / f"base-{name}", *how) for name, how in _CONTAINERS.items()}
    for path in folder.glob("base-*"):
        path.unlink()
    made = {
        **_truncations(base),
        **_flips(base),
        **_splices(base),
        **_references(base, canary, address),
        **_lying_mp4(base["back.mp4"]),
        **_lying_others(base),
        **_no_videos(base),
        **_sounds(folder),
    }
    paths = []
    for name, data in made.items():
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    return paths + list(_oddities(folder, base["front.mp4"], canary))


def _video(
    path: Path, container: str, codec: str, pixel_format: str, options: dict[str, str]
) -> bytes:
    x = np.arange(WIDTH) + np.arange(HEIGHT)[:, None]
    with av.open(str(path), "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.codec_context.thread_count = 1
        for number in range(FRAMES):
            grey = ((x + 5 * number) % 256).astype(np.uint8)
            frame = VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, axis=2), format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


def _truncations(base: dict[str, bytes]) -> dict[str, bytes]:
    shares = (0.02, 0.1, 0.3, 0.5, 0.8, 0.97)
    made = {
        f"cut-{int(100 * share)}-{name}": data[: int(len(data) * share)]
        for name, data in base.items()
        for share in shares
    }
    return made | {f"cut-13b-{name}": data[:13] for name, data in base.items()}


def _flips(base: dict[str, bytes]) -> dict[str, bytes]:
    made = {}
    for kind, (name, data) in enumerate(base.items()):
        for seed in range(8):
            random = np.random.default_rng([kind, seed])
            changed = np.frombuffer(data, np.uint8).copy()
            reach = len(changed) if seed % 2 else min(len(changed), 1200)  # the header every 2nd
            places = random.integers(0, reach, 4 * (1 + seed))
            changed[places] ^= np.uint8(1) << random.integers(0, 8, len(places), np.uint8)
            made[f"flip-{seed}-{name}"] = changed.tobytes()
    return made


def _splices(base: dict[str, bytes]) -> dict[str, bytes]:
    """The head of one container on the body of the next; a hole; a part twice."""
    made = {}
    names = list(base)
    for one, other in zip(names, names[1:] + names[:1], strict=True):
        first, second = base[one], base[other]
        third = len(first) // 3
        made[f"head-{one}"] = first[:256] + second[256:]
        made[f"hole-{one}"] = first[:third] + bytes(third) + first[2 * third :]
        made[f"twice-{one}"] = first[: 2 * third] + first[third:]
    return made


def _references(base: dict[str, bytes], canary: Path, address: str) -> dict[str, bytes]:
    inner = f"http://{address}/video.mp4"
    text = {
        "hls-file.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{canary}\n#EXT-X-ENDLIST\n",
        "hls-inner.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{inner}\n",
        "hls-key.mp4": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{inner}"\n#EXTINF:9,\n{canary}\n',
        "hls-master.mp4": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{inner}\n",
        "m3u.mp4": f"#EXTM3U\n#EXTINF:1,\n{inner}\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{canary}'\n",
        "concat-inner.ffconcat": f"ffconcat version 1.0\nfile {inner}\n",
        "dash.mpd": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'"
        f"><Period><AdaptationSet><Representation id='1' mimeType='video/mp4'><BaseURL>{inner}"
        "</BaseURL><SegmentList><SegmentURL media='a'/></SegmentList></Representation>"
        "</AdaptationSet></Period></MPD>",
        "dash-file.mp4": "<?xml version='1.0'?><MPD><Period><AdaptationSet><Representation>"
        f"<BaseURL>file://{canary}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "session.sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {address.split(':')[1]} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "real.mp4": f"RTSPtext rtsp://{address}/a",
        "asx.mp4": f"<ASX version='3.0'><Entry><Ref href='{inner}'/></Entry></ASX>",
        "redirect.mp4": f"[Reference]\nRef1={inner}\n",
        "imf.mp4": f"<AssetMap><Chunk><Path>{canary}</Path></Chunk></AssetMap>",
        "smooth.mp4": f"<SmoothStreamingMedia><StreamIndex Url='{inner}'/></SmoothStreamingMedia>",
        "picture.svg": f"<svg xmlns:xlink='x'><image xlink:href='file://{canary}'/></svg>",
        "entity.mp4": f"<!DOCTYPE a [<!ENTITY b SYSTEM 'file://{canary}'>]><MPD>&b;</MPD>",
        "script.avs": f'AviSource("{canary}")\n',
        "script.vpy": f"import os; os.system('touch {canary}')\n",
        "subtitles.srt": "1\n00:00:00,000 --> 00:00:09,000\nHello\n\n" * 20,
        "subtitles.vtt": "WEBVTT\n\n00:00.000 --> 00:09.000\nHello\n",
        "subtitles.ass": "[Script Info]\nScriptType: v4.00+\n\n[Events]\nDialogue: 0,0,0,,,,,,Hi\n",
    }
    made = {name: content.encode() for name, content in text.items()}
    outside = base["back.mp4"].replace(b"url \0\0\0\1", b"url \0\0\0\0")  # media "elsewhere"
    made["dref-outside.mp4"] = outside
    alias = bytes(4) + b"alis" + bytes(4) + os.fsencode(canary)
    made["dref-alias.mp4"] = base["back.mp4"].replace(b"url \0\0\0\1", b"alis\0\0\0\0") + alias
    return made


def _lying_mp4(data: bytes) -> dict[str, bytes]:
    """Fields of an MP4's index set to what cannot be."""

    def patch(box: bytes, offset: int, value: bytes) -> bytes:
        place = data.rindex(box) + 4 + offset
        return data[:place] + value + data[place + len(value) :]

    full, half = b"\xff" * 4, b"\x7f\xff\xff\xff"
    edits = {
        "size-giant": patch(b"avc1", 24, b"\xff\xff\xff\xff"),
        "size-zero": patch(b"avc1", 24, bytes(4)),
        "size-16k": patch(b"avc1", 24, struct.pack(">HH", 16000, 16000)),
        "entries-many": patch(b"stsz", 8, full),
        "entry-size-giant": patch(b"stsz", 4, half),
        "entry-first-giant": patch(b"stsz", 12, half),
        "chunks-many": patch(b"stco", 4, full),
        "chunk-outside": patch(b"stco", 8, half),
        "chunk-in-header": patch(b"stco", 8, bytes(4)),
        "steps-zero": patch(b"stts", 12, bytes(4)),
        "steps-giant": patch(b"stts", 12, half),
        "steps-negative": patch(b"stts", 12, full),
        "steps-many": patch(b"stts", 8, full),
        "chunk-map": patch(b"stsc", 12, full),
        "chunk-map-zero": patch(b"stsc", 8, bytes(12)),
        "scale-zero": patch(b"mdhd", 12, bytes(4)),
        "scale-giant": patch(b"mdhd", 12, full),
        "length-zero": patch(b"mdhd", 16, bytes(4)),
        "length-giant": patch(b"mdhd", 16, full),
        "movie-scale-zero": patch(b"mvhd", 12, bytes(4)),
        "movie-length-giant": patch(b"mvhd", 16, full),
        "matrix-zero": patch(b"tkhd", 40, bytes(36)),
        "codec-none": patch(b"avc1", -4, b"zzzz"),
        "codec-hevc": patch(b"avc1", -4, b"hvc1"),
        "codec-png": patch(b"avc1", -4, b"png "),
        "configuration": patch(b"avcC", 0, b"\xff" * 30),
        "handler": patch(b"hdlr", 8, b"soun"),
        "box-endless": patch(b"moov", -8, bytes(4)),
        "box-64-bit": patch(b"moov", -8, b"\0\0\0\1"),
        "box-giant": patch(b"trak", -8, half),
        "key-frames": patch(b"stss", 4, full) if b"stss" in data else data[::-1],
    }
    made = {f"mp4-{name}.mp4": content for name, content in edits.items()}
    nested = b"".join(struct.pack(">I4s", 8 * (3000 - i), b"moov") for i in range(3000))
    made["mp4-nested.mp4"] = data[:32] + nested
    made["mp4-boxes.mp4"] = data[:32] + struct.pack(">I4s", 8, b"free") * 100_000
    return made


def _lying_others(base: dict[str, bytes]) -> dict[str, bytes]:
    def patch(name: str, mark: bytes, offset: int, value: bytes) -> bytes:
        data = base[name]
        place = data.index(mark) + len(mark) + offset
        return data[:place] + value + data[place + len(value) :]

    gif, avi = base["a.gif"], base["a.avi"]
    packet = b"\x47\x1f\xff\x10" + b"\xff" * 184
    return {
        "canvas-65535.gif": gif[:6] + b"\xff" * 4 + gif[10:],
        "canvas-20000.gif": gif[:6] + struct.pack("<HH", 20000, 20000) + gif[10:],
        "canvas-0.gif": gif[:6] + bytes(4) + gif[10:],
        "frames-many.gif": gif[:-1] + gif[gif.index(b"\x21\xf9") : -1] * 20 + b"\x3b",
        "rate-zero.avi": patch("a.avi", b"strh", 4 + 20, bytes(8)),
        "size-giant.avi": patch("a.avi", b"strf", 4 + 4, b"\xff\xff\xff\x7f" * 2),
        "size-negative.avi": patch("a.avi", b"strf", 4 + 4, b"\x00\x00\x00\x80" * 2),
        "lists-nested.avi": avi[:12] + b"LIST\xff\xff\xff\x7fhdrl" * 5000,
        "size-giant.mkv": patch("a.mkv", b"\xb0\x81", 0, b"\xff"),
        "segment-giant.mkv": patch("a.mkv", b"\x18\x53\x80\x67", 0, b"\x01" + b"\xfe" * 7),
        "nested.mkv": base["a.mkv"][:60] + b"\xa0\xff" * 20000,
        "length-nan.mkv": patch("a.mkv", b"\x44\x89\x88", 0, b"\x7f\xf8" + bytes(6)),
        "length-negative.mkv": patch("a.mkv", b"\x44\x89\x88", 0, b"\xc0\xf0" + bytes(6)),
        "length-giant.mkv": patch("a.mkv", b"\x44\x89\x88", 0, b"\x7f\xe0" + bytes(6)),
        "nothing.ts": packet * 12_000,
        "endless.ts": base["a.ts"] * 60,
        "size-giant.flv": patch("a.flv", b"width\x00", 0, struct.pack(">d", 1e300)),
        "tag-giant.flv": base["a.flv"][:13] + b"\x09\xff\xff\xff" + base["a.flv"][17:],
    }


def _no_videos(base: dict[str, bytes]) -> dict[str, bytes]:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    bomb += chunk(b"IDAT", zlib.compress(bytes(4 << 20), 9)) + chunk(b"IEND", b"")
    mp4 = base["front.mp4"]
    zipped = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, 99, 1 << 31, 5, 0)
    return {
        "empty.mp4": b"",
        "one.mp4": b"\0",
        "text.mp4": b"This is no video.\n" * 100,
        "page.mp4": b"<!doctype html><title>404</title><video src='a.mp4'></video>",
        "zeros.mp4": bytes(2 << 20),
        "ones.mp4": b"\xff" * 100_000,
        "noise.mp4": np.random.default_rng(0).bytes(300_000),
        "bomb.png": bomb,
        "bomb-named.mp4": bomb,
        "bomb.zip": zipped + b"a.mp4" + zlib.compress(bytes(8 << 20), 9),
        "bitmap.bmp": b"BM" + struct.pack("<IIIIii", 99, 0, 54, 40, 1 << 30, 1 << 30) + bytes(99),
        "picture.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + bytes(900),
        "program.mp4": b"\x7fELF\x02\x01\x01" + bytes(500),
        "script.mp4": b"#!/bin/sh\ntouch /tmp/owned\n",
        "pickle.mp4": b"\x80\x04\x95cos\nsystem\n(S'touch /tmp/owned'\ntR.",
        "pdf-mp4.mp4": b"%PDF-1.7\n" + mp4,
        "mp4-zip.mp4": mp4 + zipped + b"a.mp4",
        "mp4-page.mp4": mp4 + b"<script>alert(1)</script>",
        "page-mp4.mp4": b"<html>" + mp4,
        "gif-script.gif": b"GIF89a/*" + base["a.gif"][8:] + b"*/=1;alert(1)",
        "pages.ogv": (b"OggS\0\2" + bytes(21) + b"\xff" * 256) * 40,
        "two-in-one.mp4": mp4 + base["a.mkv"],
    }


def _sounds(folder: Path) -> dict[str, bytes]:
    made = {}
    for suffix, codec in ((".wav", "pcm_s16le"), (".m4a", "aac"), (".mkv", "pcm_s16le")):
        path = folder / f"sound{suffix}"
        with av.open(str(path), "w") as output:
            stream = output.add_stream(codec, rate=8000, layout="mono")
            kind = ("fltp", np.float32) if codec == "aac" else ("s16", np.int16)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), kind[1]), kind[0], "mono")
            frame.sample_rate = 8000
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        made[path.name] = path.read_bytes()
    return made


def _oddities(folder: Path, mp4: bytes, canary: Path) -> Iterator[Path]:
    """Things that are no files, or files that are not what they seem."""
    link: dict[str, Callable[[Path], object]] = {
        "pipe.mp4": os.mkfifo,
        "folder.mp4": Path.mkdir,
        "zero.mp4": lambda path: path.symlink_to("/dev/zero"),
        "null.mp4": lambda path: path.symlink_to("/dev/null"),
        "random.mp4": lambda path: path.symlink_to("/dev/urandom"),
        "terminal.mp4": lambda path: path.symlink_to("/dev/tty"),
        "loop.mp4": lambda path: path.symlink_to(path),
        "dangling.mp4": lambda path: path.symlink_to(folder / "nowhere"),
        "sparse.mp4": _write_sparse,
        "process.mp4": lambda path: path.symlink_to("/proc/self/status"),
        "link.mp4": lambda path: path.symlink_to(folder / "text.mp4"),
        "socket.mp4": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
        "-version": lambda path: path.write_bytes(mp4[: len(mp4) // 2]),
        f"concat:{canary.name}|b.mp4": lambda path: path.write_bytes(mp4),
        "http:127.0.0.1.mp4": lambda path: path.write_bytes(mp4),
        "pipe:0": lambda path: path.write_bytes(mp4),
        "%d%05d.mp4": lambda path: path.write_bytes(mp4),
        "a;touch owned`touch owned`.mp4": lambda path: path.write_bytes(mp4),
        "видео 视频 \u202e4pm.mp4": lambda path: path.write_bytes(mp4),
    }
    for name, make in link.items():
        make(folder / name)
        yield folder / name
    yield folder / "gone.mp4"


def _write_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)
