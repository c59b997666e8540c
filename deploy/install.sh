#!/bin/sh
# Brings a fresh machine to where the product runs: Python 3.11 or newer, a virtual environment with hash-checked
# packages, the command .venv/bin/vitrine, a Chromium; strace for developers, where it can be had. Does nothing where all
# of it is there. Where it may not install, it prints the line to run.
set -eu
lock=$1
venv=.venv
stamp=$venv/.installed

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON_PROGRAM:-} python3.12 python3.11 python3.13 python3.14 python3 python; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    say "Vitrine needs Python 3.11 or newer with venv. Install it, for example:"
    say "    sudo apt-get install python3 python3-venv        (Debian 12 or newer, Ubuntu 24.04 or newer)"
    say "    brew install python@3.12                         (macOS)"
    exit 1
}

find_browser() {
    for name in "${VITRINE_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
        "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && return 0
    done
    for cache in "$HOME/.cache/ms-playwright" "$HOME/Library/Caches/ms-playwright"; do
        ls -d "$cache"/chromium-* >/dev/null 2>&1 && return 0
    done
    return 1
}

require_space() {
    free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
    if [ "$free_kb" -lt "$1" ]; then
        say "The packages need about $(($1 / 1000000)) GB here and $((free_kb / 1000000)) GB are free. Free some space and run this again."
        exit 1
    fi
}

# A runtime environment is part of a developer's, so the larger lock satisfies the smaller one.
installed() {
    [ -x $venv/bin/python ] && [ -f $stamp ] || return 1
    wanted=$(cksum <"$lock")
    grep -qxF "$lock $wanted" $stamp
}

install_packages() {
    installed && return
    [ -x $venv/bin/python ] || require_space 9000000
    python=$(find_python)
    [ -x $venv/bin/python ] || "$python" -m venv $venv
    say "Installing packages (once; 2 to 4 minutes) ..."
    $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    {
        echo "$lock $(cksum <"$lock")"
        [ "$lock" = requirements-dev.lock ] && echo "requirements.lock $(cksum <requirements.lock)"
    } >$stamp || true
}

has_apt() { command -v apt-get >/dev/null 2>&1; }

apt_install() {
    root=
    [ "$(id -u)" = 0 ] || root="sudo -n"
    $root apt-get update -qq >/dev/null 2>&1 &&
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1
}

install_browser() {
    find_browser && return
    if has_apt; then
        say "Installing Chromium ..."
        if apt_install chromium && find_browser; then
            return
        fi
    fi
    say "Fetching Playwright's own Chromium ..."
    if $venv/bin/python -m playwright install chromium >/dev/null 2>&1 && find_browser; then
        return
    fi
    say "No Chromium was found and none could be installed. Run one of these, then this again:"
    say "    sudo apt-get install chromium"
    say "    brew install --cask google-chrome"
    say "or set VITRINE_BROWSER to the program."
    exit 1
}

# For the proofs of crashes, which say what they could not try: nothing else needs it, so it is asked for once.
install_strace() {
    [ "$lock" = requirements-dev.lock ] && [ ! -f $venv/.strace-asked ] || return 0
    touch $venv/.strace-asked
    command -v strace >/dev/null 2>&1 || ! has_apt || apt_install strace || true
}

# The tree is run in place, so its command is a script beside the packages, not a package among them.
install_command() {
    cmp -s deploy/vitrine $venv/bin/vitrine && return
    cp deploy/vitrine $venv/bin/vitrine.new
    chmod 755 $venv/bin/vitrine.new
    mv $venv/bin/vitrine.new $venv/bin/vitrine
}

install_packages
install_command
install_browser
install_strace
