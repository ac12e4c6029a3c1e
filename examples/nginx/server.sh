#!/bin/sh
# A stock nginx in the foreground, with its files in its own directory.
set -eu
data="${WATTLE_DATA:?}"
PATH="$PATH:/usr/sbin"
mkdir -p "$data/files"
head -c 4194304 /dev/urandom >"$data/files/large"
seq 1 50000 >"$data/files/numbers"
# Root may not change to another user inside a user namespace, and need not.
user=""
if [ "$(id -u)" = 0 ]; then user="user root;"; fi
sed -e "s|@DATA@|$data|g" -e "s|@USER@|$user|" "$(dirname "$0")/nginx.conf.in" >"$data/nginx.conf"
exec nginx -p "$data" -c "$data/nginx.conf" -e stderr
