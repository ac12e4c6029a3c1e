#!/bin/sh
# MariaDB's own client against MARIADB_HOST, where the server speaks first; any deviation ends with a
# non-zero status.
set -eu
. "$(dirname "$0")/../expect.sh"
host="${MARIADB_HOST:-mariadb}"
port="${MARIADB_PORT:-3306}"
export MYSQL_PWD="${MARIADB_PASSWORD:-wattle}"

sql() {
  mariadb --no-defaults --protocol=tcp --host="$host" --port="$port" --user=app --connect-timeout=20 \
    --max-allowed-packet=16M --skip-column-names --batch app "$@"
}

wait_for 90 sql --execute "select 1"
expect "a query" 42 "$(sql --execute "select 6 * 7")"

# The client waits for the server's greeting. A proxy that waited for the client first would stall here;
# the best of three leaves a busy machine out of it.
best=1000000
for _ in 1 2 3; do
  start="$(milliseconds)"
  sql --execute "select 1" >/dev/null
  took=$(($(milliseconds) - start))
  if [ "$took" -lt "$best" ]; then best="$took"; fi
done
expect_at_most "milliseconds to connect, ask and leave" 500 "$best"

sql --execute "drop table if exists numbers; create table numbers (n int primary key, word varchar(20))"
{
  printf 'insert into numbers values (0, "zero")'
  seq 1 19999 | sed 's/.*/,(&, "word")/'
} | sql
expect "rows written" "20000 199990000" "$(sql --execute "select count(*), sum(n) from numbers" | tr '\t' ' ')"
expect "rows read" 20000 "$(sql --execute "select * from numbers" | wc -l)"

wanted="$(yes abcdefgh | head -n 131072 | tr -d '\n' | sha1sum | cut -d' ' -f1)"
expect "a value of 1 MiB arrives" "$wanted" \
  "$( (printf 'select sha1("'; yes abcdefgh | head -n 131072 | tr -d '\n'; printf '")') | sql)"
expect "and comes back" "$wanted" \
  "$(sql --execute "select repeat('abcdefgh', 131072)" | tr -d '\n' | sha1sum | cut -d' ' -f1)"

if sql --execute "select * from nowhere" >/dev/null 2>&1; then
  echo "FAILED: an error of the server did not reach the client" >&2
  exit 1
fi
echo "ok: an error of the server reaches the client"

sql --execute "drop table numbers"
echo "mariadb: all as expected"
