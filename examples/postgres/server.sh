#!/bin/sh
# A stock PostgreSQL in the foreground, in a cluster made on first start. It refuses to run as root.
set -eu
data="${WATTLE_DATA:?}/cluster"
PATH="$PATH:$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)"

if [ ! -f "$data/PG_VERSION" ]; then
  password="$WATTLE_DATA/password"
  (umask 077 && echo "${POSTGRES_PASSWORD:-wattle}" >"$password")
  initdb --pgdata "$data" --username postgres --auth scram-sha-256 --pwfile "$password" --encoding UTF8 --locale C --no-sync
  rm -f "$password"
  # Who may connect is decided by the mesh; who may log in still by PostgreSQL.
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
fi
# No Unix socket: its path could be longer than the system allows.
exec postgres -D "$data" -c listen_addresses=0.0.0.0 -c "port=${POSTGRES_PORT:-5432}" -c unix_socket_directories= \
  -c fsync=off -c max_connections=50 -c shared_buffers=32MB
