#!/bin/sh
# A stock Redis in the foreground, with its data in its own directory.
set -eu
exec redis-server --bind 0.0.0.0 --port "${REDIS_PORT:-6379}" --protected-mode no --daemonize no \
  --dir "${WATTLE_DATA:?}" --save '' --appendonly yes
