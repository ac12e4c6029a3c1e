# shellcheck shell=bash
# Fuzzing with libFuzzer on the stable compiler: coverage comes from LLVM's sanitizer passes, so that neither
# a nightly toolchain nor cargo-fuzz is needed. Sourced by ./dev.
#
# A target is a `[[bin]]` of fuzz/Cargo.toml; its seeds are fuzz/seeds/TARGET/. What fuzzing finds on the way is
# kept in the cache; a crash ends it with a non-zero status and the path of the input, to be made a seed.

fuzz() {
  local wanted="$1" seconds="$2" target targets
  [[ -f fuzz/Cargo.toml ]] || fail "there is no fuzz/Cargo.toml in this checkout"
  [[ "$seconds" =~ ^[0-9]+$ ]] || fail "seconds must be a number, found \`$seconds\`"
  targets="$(fuzz_targets)"
  if [[ "$wanted" != all ]]; then
    grep -qx "$wanted" <<<"$targets" || fail "no fuzz target \`$wanted\`; there are: ${targets//$'\n'/ }"
    targets="$wanted"
  fi
  build_fuzz
  for target in $targets; do fuzz_one "$target" "$seconds"; done
}

fuzz_targets() {
  awk '/^\[/ { bin = ($0 == "[[bin]]") } bin && /^name = "/ { gsub(/^name = "|"$/, ""); print }' fuzz/Cargo.toml
}

fuzz_triple() { rustc -vV | sed -n 's/^host: //p'; }

build_fuzz() {
  local flags="--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module"
  flags+=" -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
  flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
  say "building the fuzz targets"
  # With a named target, build scripts and macros are built without the instrumentation.
  RUSTFLAGS="$flags" cargo build --manifest-path fuzz/Cargo.toml --release --bins \
    --target "$(fuzz_triple)" --target-dir "$CARGO_TARGET_DIR/fuzz"
}

fuzz_one() {
  local target="$1" seconds="$2"
  local found="$CACHE/fuzz/found/$target" crashes="$CACHE/fuzz/crashes/$target" folders
  mkdir -p "$found" "$crashes"
  # The first folder is written to, the others are only read.
  folders=("$found")
  if [[ -d "fuzz/seeds/$target" ]]; then folders+=("fuzz/seeds/$target"); fi
  say "fuzzing $target for $seconds seconds"
  "$CARGO_TARGET_DIR/fuzz/$(fuzz_triple)/release/$target" "${folders[@]}" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$crashes/" \
    -print_final_stats=1 -verbosity=0
}
