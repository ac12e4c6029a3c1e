# shellcheck shell=bash
# Words and places that every part of ./dev uses. Sourced, never run.

CACHE="${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/wattle"
readonly CACHE
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"

# Debian keeps nft, ip and daemons where only root looks.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# Programs that we build for ourselves.
readonly TOOLS="$CACHE/tools"
export PATH="$PATH:$TOOLS/bin"

say() { printf 'dev: %s\n' "$*" >&2; }

warn() { printf 'dev: warning: %s\n' "$*" >&2; }

fail() {
  printf 'dev: error: %s\n' "$*" >&2
  exit 1
}

# Something is missing that a developer can do without and continuous integration cannot.
warn_or_fail() {
  if [[ "${WATTLE_TEST_STRICT:-}" == 1 ]]; then fail "$*"; else warn "$*"; fi
}

have() { command -v "$1" >/dev/null 2>&1; }
