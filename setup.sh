#!/usr/bin/env bash
# Sets up everything `make demo` and `make test` need: system packages where this user may install
# them, a virtual environment in $VENV (.venv), and the Python packages at the versions tried.
set -euo pipefail
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

# libosmesa6, EGL: headless GL (overlays need it; maps are drawn without it too); python3-venv: Debian
# ships Python without it.
packages=(libosmesa6 libegl1 libegl-mesa0 libgl1-mesa-dri python3-venv)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" ||
        missing+=("$package")
done
if "$PYTHON" -c "import ensurepip, venv" 2>/dev/null; then missing=("${missing[@]/python3-venv/}"); fi
missing=(${missing[@]})
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "Not root: please have these system packages installed: ${missing[*]}" >&2
    fi
fi

"$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || {
    echo "Python 3.11 or 3.12 is needed, $("$PYTHON" --version) found; set PYTHON=..." >&2
    exit 1
}
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --upgrade "pip<27" "setuptools>=77"
"$VENV/bin/python" -m pip install --quiet -c constraints.txt -e ".[dev,benchmarks]"
