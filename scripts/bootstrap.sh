#!/bin/sh
# Brings what meter needs into .venv, from nothing but Python 3.11 or newer. Asks for no root and installs nothing
# outside this folder. Does nothing when it was done before for the same lock file.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.meter-installed
downloads=.cache/bootstrap

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            # Inside an activated environment it is the Python behind it: ours cannot make itself anew.
            "$candidate" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'
            return
        fi
    done
    fail "meter needs Python 3.11 or newer and found none; install one, or name it with: make PYTHON=/path/to/python3 …"
}

# Prints the path of a pip that can be run: Debian's wheel of it, from the machine or downloaded and unpacked here.
find_pip_wheel() {
    for root in "" "$downloads/root"; do
        for wheel in "$root"/usr/share/python-wheels/pip-*.whl; do
            if [ -f "$wheel" ]; then
                printf '%s\n' "$wheel"
                return
            fi
        done
    done
    return 1
}

# Downloads the distribution's own package of pip with the machine's sources, but lists and archives of our own.
download_pip() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        fail "this Python has neither pip nor ensurepip; install its venv package (Fedora: python3-pip)"
    say "fetching pip from the distribution (not installing it)"
    mkdir -p "$downloads/lists/partial" "$downloads/cache/archives/partial" "$downloads/debs"
    here=$(pwd)
    (
        cd "$downloads/debs"
        run_apt() {
            apt-get -q -o "Dir::State::lists=$here/$downloads/lists" -o "Dir::Cache=$here/$downloads/cache" \
                -o APT::Update::Post-Invoke-Success::= -o Acquire::Retries=3 "$@" >&2
        }
        run_apt update && run_apt download python3-pip-whl
    ) || fail "pip could not be fetched; install the package python3-venv, or check the machine's apt sources"
    for archive in "$downloads"/debs/python3-pip-whl_*.deb; do
        dpkg-deb --extract "$archive" "$downloads/root"
    done
}

make_venv() {
    python=$1
    if "$python" -m venv --clear "$venv" >/dev/null 2>&1; then
        return
    fi
    # Debian and Ubuntu leave ensurepip out of python3.
    "$python" -m venv --clear --without-pip "$venv" ||
        fail "$python cannot make a virtual environment; install its venv module (Debian, Ubuntu: python3-venv)"
    find_pip_wheel >/dev/null || download_pip
    wheel=$(find_pip_wheel) || fail "the distribution's package has no pip; install the package python3-venv"
    "$venv/bin/python" "$wheel/pip" --disable-pip-version-check -q install --no-index "$wheel"
}

# Of pip's many lines, the ones that tell how far it is.
show_names() {
    while read -r verb what _rest; do
        case $verb in
        Collecting) say "  $what" ;;
        Installing) say "  installing" ;;
        esac
    done
}

python=$(find_python)
# What was installed, for which Python, and where: a moved checkout has to be made anew.
wanted="$(cksum requirements.lock pyproject.toml) $("$python" --version) $(pwd)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

say "preparing $venv with $("$python" --version); the first time this downloads about 300 MB"
rm -f "$stamp"
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 || ! is_new_enough "$venv/bin/python" ||
    [ "$(sed -n 1p "$venv/.meter-place" 2>/dev/null)" != "$(pwd)" ]; then
    make_venv "$python"
    pwd >"$venv/.meter-place"
fi
# A pipe ends with the code of its last command; pip's own is carried around it.
code=$({
    {
        "$venv/bin/python" -m pip --disable-pip-version-check install --require-hashes -r requirements.lock
        echo $? >&3
    } | show_names >&2
} 3>&1)
[ "$code" = 0 ] || fail "not everything could be downloaded; what is missing is said above, and the next try goes on from here"
"$venv/bin/python" -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation -e .
printf '%s' "$wanted" >"$stamp"
