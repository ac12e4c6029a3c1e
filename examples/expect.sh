# shellcheck shell=sh
# What the clients of the examples share: state an expectation, print what was seen, stop at the first
# deviation. Sourced, never run.

# expect WHAT WANTED FOUND: equal, or the end.
expect() {
  if [ "$2" = "$3" ]; then
    echo "ok: $1: $3"
  else
    echo "FAILED: $1: expected \`$2\`, found \`$3\`" >&2
    exit 1
  fi
}

# expect_at_most WHAT BOUND FOUND: a number, not above the bound.
expect_at_most() {
  if [ "$3" -le "$2" ]; then
    echo "ok: $1: $3 (at most $2)"
  else
    echo "FAILED: $1: expected at most $2, found $3" >&2
    exit 1
  fi
}

# expect_match WHAT PATTERN FOUND: an extended regular expression somewhere in the text.
expect_match() {
  if printf '%s\n' "$3" | grep -Eq -- "$2"; then
    echo "ok: $1: $(printf '%s\n' "$3" | grep -E -- "$2" | head -n 1)"
  else
    echo "FAILED: $1: expected something like \`$2\`, found \`$3\`" >&2
    exit 1
  fi
}

# wait_for SECONDS COMMAND...: until the command succeeds; the server may still be starting.
wait_for() {
  _left=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    _left=$((_left - 1))
    if [ "$_left" -le 0 ]; then
      echo "FAILED: no success in time: $*" >&2
      "$@" >&2 || true
      exit 1
    fi
    sleep 0.2
  done
}

# milliseconds: of the machine's clock.
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
