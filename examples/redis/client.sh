#!/bin/sh
# redis-cli and redis-benchmark against REDIS_HOST; any deviation ends with a non-zero status.
set -eu
. "$(dirname "$0")/../expect.sh"
host="${REDIS_HOST:-redis}"
port="${REDIS_PORT:-6379}"
data="${WATTLE_DATA:-$(mktemp -d)}"

cli() { redis-cli -h "$host" -p "$port" "$@"; }

wait_for 60 cli PING
expect "ping" PONG "$(cli PING)"
expect "set" OK "$(cli SET greeting "good day")"
expect "get" "good day" "$(cli GET greeting)"

# One mebibyte of random bytes must come back as it went.
head -c 1048576 /dev/urandom >"$data/value"
expect "a value of 1 MiB is set" OK "$(cli -x SET large <"$data/value")"
wanted="$(cksum <"$data/value")"
expect "it comes back byte for byte" "$wanted" "$(cli --raw GET large | head -c 1048576 | cksum)"

transaction="$(printf 'MULTI\nINCRBY counter 40\nINCRBY counter 2\nEXEC\n' | cli | tail -n 1)"
expect "a transaction on one connection" 42 "$transaction"

# The server speaks unasked to a subscriber.
(cli SUBSCRIBE news | head -n 6 >"$data/news"; : >"$data/heard") &
subscriber=$!
wait_for 30 sh -c "[ \"\$(redis-cli -h '$host' -p '$port' PUBLISH news hello)\" = 1 ]"
# head ends with the sixth line, and redis-cli with the next one that it writes after that.
wait_for 30 sh -c "redis-cli -h '$host' -p '$port' PUBLISH news again >/dev/null; [ -e '$data/heard' ]"
wait "$subscriber"
expect "a published message arrives" hello "$(tail -n 1 "$data/news")"

report="$(redis-benchmark -h "$host" -p "$port" -n 20000 -c 20 -P 4 -d 256 -t set,get,lpush --csv)"
expect "tests that redis-benchmark finished" 3 "$(printf '%s\n' "$report" | grep -cE '^"(SET|GET|LPUSH)","[0-9.]+"')"
printf '%s\n' "$report" | cut -d, -f1,2
expect "entries that it pushed" 20000 "$(cli LLEN mylist)"

cli FLUSHALL >/dev/null
echo "redis: all as expected"
