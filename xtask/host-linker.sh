#!/bin/sh
# The linker for programs that run on this computer: `cc`.
#
# It exists for a fresh machine, where Rust is installed and a C linker is not. There Cargo's first
# link would fail with a message about a missing `cc`; this installs one instead, and says so.
set -eu

if command -v cc >/dev/null 2>&1; then
    exec cc "$@"
fi

# Cargo swallows what a linker prints, so people are told on their terminal where there is one.
say() {
    { printf '%s\n' "$*" >/dev/tty; } 2>/dev/null || printf '%s\n' "$*" >&2
}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

install_linker() {
    packages='gcc libc6-dev'
    as_root='env DEBIAN_FRONTEND=noninteractive'
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "No C linker was found. Install one as root with:" \
            "apt-get update && apt-get install -y $packages"
        as_root="sudo $as_root"
    fi
    say "No C linker was found; installing one with apt-get: $packages"
    # shellcheck disable=SC2086 # both variables are lists of words
    {
        $as_root apt-get update &&
            $as_root apt-get install -y --no-install-recommends $packages
    } >&2 || fail "Installing $packages failed; install them by hand and try again."
}

if ! command -v apt-get >/dev/null 2>&1; then
    if command -v dnf >/dev/null 2>&1; then
        fail "No C linker was found. Install one with: sudo dnf install gcc glibc-devel"
    elif command -v pacman >/dev/null 2>&1; then
        fail "No C linker was found. Install one with: sudo pacman -S gcc"
    elif command -v zypper >/dev/null 2>&1; then
        fail "No C linker was found. Install one with: sudo zypper install gcc glibc-devel"
    elif command -v apk >/dev/null 2>&1; then
        fail "No C linker was found. Install one with: doas apk add gcc musl-dev"
    fi
    fail "No C linker was found. Install gcc and the headers of the C library."
fi

# Cargo links several programs at once; one of them installs, the others wait here for it. The lock
# is on this file, so that nothing is left behind.
exec 9<"$0"
if command -v flock >/dev/null 2>&1; then
    flock 9
fi
command -v cc >/dev/null 2>&1 || install_linker
exec 9<&-
command -v cc >/dev/null 2>&1 || fail "gcc is installed, but there is still no cc on the path."
exec cc "$@"
