#!/bin/sh
# A stock MariaDB in the foreground, with its tables made on first start. It refuses to run as root.
set -eu
data="${WATTLE_DATA:?}/tables"
PATH="$PATH:/usr/sbin"

if [ ! -d "$data/mysql" ]; then
  mkdir -p "$data" "$WATTLE_DATA/tmp"
  mariadb-install-db --no-defaults --datadir="$data" --tmpdir="$WATTLE_DATA/tmp" \
    --auth-root-authentication-method=normal --skip-test-db >/dev/null
fi
cat >"$WATTLE_DATA/init.sql" <<SQL
CREATE DATABASE IF NOT EXISTS app;
CREATE OR REPLACE USER 'app'@'%' IDENTIFIED BY '${MARIADB_PASSWORD:-wattle}';
GRANT ALL ON app.* TO 'app'@'%';
SQL
# The socket is named from the data directory: a full path could be longer than the system allows.
exec mariadbd --no-defaults --datadir="$data" --socket=local.sock --pid-file="$WATTLE_DATA/pid" \
  --tmpdir="$WATTLE_DATA/tmp" --init-file="$WATTLE_DATA/init.sql" --bind-address=0.0.0.0 \
  --port="${MARIADB_PORT:-3306}" --skip-name-resolve --innodb-buffer-pool-size=32M \
  --innodb-flush-log-at-trx-commit=0 --max-allowed-packet=16M
