#!/bin/sh
# psql and pgbench against POSTGRES_HOST; any deviation ends with a non-zero status.
set -eu
. "$(dirname "$0")/../expect.sh"
PATH="$PATH:$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)"
export PGHOST="${POSTGRES_HOST:-postgres}" PGPORT="${POSTGRES_PORT:-5432}"
export PGUSER=postgres PGDATABASE=postgres PGPASSWORD="${POSTGRES_PASSWORD:-wattle}" PGCONNECT_TIMEOUT=10

sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }

wait_for 90 sql --command "select 1"
expect "a query" 42 "$(sql --command "select 6 * 7")"
expect "the encryption that PostgreSQL itself sees" f \
  "$(sql --command "select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false)")"

sql --command "create table if not exists numbers (n int primary key, word text)" --command "truncate numbers"
seq 1 20000 | sed 's/$/\tword/' | sql --command "copy numbers from stdin"
expect "rows copied in" "20000|200010000" "$(sql --command "select count(*), sum(n) from numbers")"
expect "rows copied out" 20000 "$(sql --command "copy numbers to stdout" | wc -l)"

wanted="$(yes abcdefgh | head -n 131072 | tr -d '\n' | sha1sum | cut -d' ' -f1)"
expect "a value of 1 MiB comes back" "$wanted" \
  "$(sql --command "select repeat('abcdefgh', 131072)" | tr -d '\n' | sha1sum | cut -d' ' -f1)"

if sql --command "select 1 / 0" >/dev/null 2>&1; then
  echo "FAILED: an error of the server did not reach the client" >&2
  exit 1
fi
echo "ok: an error of the server reaches the client"

pgbench --initialize --quiet --scale 1 >/dev/null 2>&1
report="$(pgbench --client 4 --jobs 1 --transactions 100 --no-vacuum 2>/dev/null)"
expect_match "pgbench" "actually processed: 400/400" "$report"
expect_match "pgbench" "failed transactions: 0 " "$report"
printf '%s\n' "$report" | grep -E '^(latency|tps)'

sql --command "drop table numbers"
echo "postgres: all as expected"
