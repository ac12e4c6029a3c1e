# shellcheck shell=bash
# What ./dev needs on this machine: Rust, Debian packages, Python libraries. Sourced, never run.
# Each step is fast when nothing is to do, installs when it may, and otherwise says what is missing.

# Each line: what must be there, and the Debian package that brings it. A word is a command, a path with
# a star is a pattern of files.
declare -A PACKAGES
PACKAGES[build]="
cc build-essential
c++ build-essential
"
PACKAGES[mesh]="
nft nftables
ip iproute2
"
PACKAGES[test]="
redis-server redis-server
redis-cli redis-tools
redis-benchmark redis-tools
psql postgresql
/usr/lib/postgresql/*/bin/postgres postgresql
/usr/lib/postgresql/*/bin/pgbench postgresql
mariadbd mariadb-server
mariadb-install-db mariadb-server
mariadb mariadb-client
nginx nginx-light
curl curl
h2load nghttp2-client
tshark tshark
python3 python3
setpriv util-linux
dig bind9-dnsutils
dnsmasq dnsmasq-base
unshare util-linux
ps procps
"
PACKAGES[lint]="
shellcheck shellcheck
"
PACKAGES[bench]="
haproxy haproxy
wrk wrk
"

# --- Rust -------------------------------------------------------------------------------------------

setup_rust() {
  have cargo || fail "cargo is missing; install Rust $(minimum_rust) or newer: https://rustup.rs"
  local version
  version="$(cargo --version | cut -d' ' -f2)"
  at_least "$version" "$(minimum_rust)" ||
    fail "cargo is $version, and $(minimum_rust) or newer is needed; run: rustup update stable"
}

minimum_rust() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml"; }

# Whether version $1 is $2 or newer.
at_least() { [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" == "$2" ]]; }

setup_components() {
  local component
  for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
      have rustup || fail "$component is missing, and there is no rustup to install it"
      say "installing $component"
      rustup component add "$component"
    fi
  done
}

# What checks dependencies; it is built once, and what it finds is the same on every machine.
setup_cargo_deny() {
  if cargo deny --version >/dev/null 2>&1; then return 0; fi
  say "installing cargo-deny; this takes some minutes, once"
  CARGO_TARGET_DIR="$TOOLS/target" cargo install --locked --quiet --root "$TOOLS" cargo-deny ||
    warn "cargo-deny cannot be installed"
  rm -rf "$TOOLS/target"
}

# --- Debian packages --------------------------------------------------------------------------------

# Installs what the named groups lack. Only the compiler is indispensable.
setup_packages() {
  local missing
  missing="$(missing_packages "$@")"
  [[ -n "$missing" ]] || return 0
  if may_install; then
    # shellcheck disable=SC2086 # one word per package
    install_packages $missing || true
    missing="$(missing_packages "$@")"
  fi
  [[ -n "$missing" ]] || return 0
  warn "as root: apt-get install --no-install-recommends ${missing//$'\n'/ }"
  warn_or_fail "missing packages: ${missing//$'\n'/ }; what needs them is skipped"
  have cc || fail "no C compiler: the build needs one"
}

# The packages of the named groups whose commands are not there, one a line.
missing_packages() {
  local group wanted package
  for group in "$@"; do
    while read -r wanted package; do
      if [[ -n "$wanted" ]] && ! is_there "$wanted"; then echo "$package"; fi
    done <<<"${PACKAGES[$group]}"
    if [[ "$group" == test ]] && have python3 && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
      echo python3-venv
    fi
  done | sort -u
}

is_there() {
  case "$1" in
    /*) compgen -G "$1" >/dev/null ;;
    *) have "$1" ;;
  esac
}

# Root, or sudo that does not ask, on a machine with apt.
may_install() {
  [[ "${WATTLE_NO_INSTALL:-}" != 1 ]] && have apt-get && { [[ "$(id -u)" == 0 ]] || sudo -n true 2>/dev/null; }
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@" >&2
}

# A subshell, so that the trap takes the guard away however it ends.
install_packages() (
  say "installing: $*"
  before="$(service_units)"
  guard_services
  trap release_services EXIT
  apt update || warn "apt-get update failed; using the package lists that are there"
  if ! apt install --no-install-recommends "$@"; then
    # One package that this release lacks must not keep the others away.
    for package in "$@"; do apt install --no-install-recommends "$package" || warn "$package cannot be installed"; done
  fi
  disable_new_services "$before"
)

# Packages such as redis-server start a daemon when installed. We want the binaries only: while we install,
# policy-rc.d says no, unless the machine has a policy of its own already.
readonly SERVICE_POLICY=/usr/sbin/policy-rc.d
readonly POLICY_MARK='# made by ./dev of wattle while it installs'

guard_services() {
  [[ -e "$SERVICE_POLICY" ]] && return 0
  printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" | as_root tee "$SERVICE_POLICY" >/dev/null
  as_root chmod 755 "$SERVICE_POLICY"
}

release_services() {
  if grep -qsF "$POLICY_MARK" "$SERVICE_POLICY"; then as_root rm -f "$SERVICE_POLICY"; fi
}

service_units() {
  compgen -G '/lib/systemd/system/*.service' | sort || true
}

# Nor shall they start at the next boot. Services that were there before are not touched.
disable_new_services() {
  local unit
  [[ -d /run/systemd/system ]] || return 0
  for unit in $(comm -13 <(echo "$1") <(service_units)); do
    case "${unit##*/}" in
      redis-server.service | postgresql.service | mariadb.service | nginx.service | haproxy.service)
        as_root systemctl disable --quiet "${unit##*/}" || warn "${unit##*/} stays enabled"
        ;;
    esac
  done
}

# --- Python libraries -------------------------------------------------------------------------------

# A virtual environment of pinned libraries for the named groups; sets WATTLE_PYTHON (and ENVOY_BIN).
setup_python() {
  local group
  WATTLE_PYTHON="$CACHE/python/bin/python"
  for group in "$@"; do
    if ! install_python "$ROOT/scripts/requirements-$group.txt"; then
      warn_or_fail "no Python libraries of scripts/requirements-$group.txt: what needs them is skipped"
      return 0
    fi
  done
  export WATTLE_PYTHON
  ENVOY_BIN="${ENVOY_BIN:-$(compgen -G "$CACHE/python/lib/python3*/site-packages/envoy/_bin/envoy" || true)}"
  if [[ -n "$ENVOY_BIN" ]]; then export ENVOY_BIN; else unset ENVOY_BIN; fi
}

# The copy of the list beside the environment is written last: it is there when all of it is installed.
install_python() {
  local list="$1" installed
  installed="$CACHE/python/installed-${list##*/}"
  if cmp -s "$list" "$installed" && "$WATTLE_PYTHON" -c '' 2>/dev/null; then return 0; fi
  if [[ "${WATTLE_NO_INSTALL:-}" == 1 ]] || ! have python3; then return 1; fi
  say "installing Python libraries of ${list##*/} into $CACHE/python"
  "$WATTLE_PYTHON" -c 'import pip' 2>/dev/null || python3 -m venv --clear "$CACHE/python" || return 1
  "$WATTLE_PYTHON" -m pip install --quiet --disable-pip-version-check --only-binary=:all: --require-hashes \
    -r "$list" >&2 || return 1
  cp "$list" "$installed"
}
