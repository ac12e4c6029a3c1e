# shellcheck shell=bash
# What must hold before anything lands. Sourced by ./dev; every check runs, then the failures are named.

lint() {
  local failed=()
  step format cargo fmt --all --check
  step clippy cargo clippy --locked --workspace --all-targets -- -D warnings
  step layering cargo xtask layering
  step tidy cargo xtask tidy
  step generated cargo xtask proto --check
  step dependencies lint_dependencies
  step scripts lint_scripts
  [[ ${#failed[@]} -eq 0 ]] || fail "lint failed: ${failed[*]}"
  say "lint: all good"
}

# Runs one named check and remembers when it fails.
step() {
  local name="$1"
  shift
  say "lint: $name"
  "$@" || failed+=("$name")
}

lint_dependencies() {
  if ! cargo deny --version >/dev/null 2>&1; then
    say "cargo-deny is not installed; deny.toml is not checked (./dev setup installs it)"
    return 0
  fi
  # It looks at all targets' dependencies, of which a build has fetched its own alone.
  cargo fetch --locked --quiet || return 1
  cargo deny --all-features --offline check --hide-inclusion-graph bans licenses sources || return 1
  # Known vulnerabilities are in a database of the network's; the rest works everywhere.
  if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --all-features check --hide-inclusion-graph advisories
  else
    say "the database of advisories is out of reach; dependencies are not checked against it"
  fi
}

lint_scripts() {
  local files script bad=0
  mapfile -t files < <(shell_scripts)
  for script in "${files[@]}"; do bash -n "$script" || bad=1; done
  if have shellcheck; then
    shellcheck --external-sources --source-path=SCRIPTDIR "${files[@]}" || bad=1
  else
    say "shellcheck is not installed; scripts are only parsed"
  fi
  return "$bad"
}

# Every file of ours that a shell reads: by its name or its first line.
shell_scripts() {
  local file
  find dev .ci scripts examples bench -type f ! -name '*.py' ! -name '*.md' ! -name '*.yaml' 2>/dev/null |
    while read -r file; do
      if [[ "$file" == *.sh ]] || head -c 64 "$file" | head -n1 | grep -aqE '^#!.*(bash|/sh)'; then echo "$file"; fi
    done
}
