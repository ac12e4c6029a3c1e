#!/bin/sh
# A workload with an identity of its own that no policy allows. It knocks for ten seconds, so that the server
# is up for most of them, and must be turned away every time.
set -eu
. "$(dirname "$0")/../expect.sh"
host="${REDIS_HOST:-redis}"
port="${REDIS_PORT:-6379}"

knocks=0
while [ "$knocks" -lt 20 ]; do
  answer="$(timeout 10 redis-cli -h "$host" -p "$port" PING 2>&1 || true)"
  if [ "$answer" = PONG ]; then
    echo "FAILED: the intruder was served" >&2
    exit 1
  fi
  knocks=$((knocks + 1))
  sleep 0.5
done
# A name that does not resolve, or a server that is not there, would prove nothing.
expect_match "the intruder is cut off" "closed the connection|reset by peer|roken pipe|EOF" "$answer"
