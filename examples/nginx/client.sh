#!/bin/sh
# curl and h2load against NGINX_HOST; any deviation ends with a non-zero status.
# Ports: HTTP/1.1, HTTP/2 without TLS, and HTTP/1.1 on a port whose protocol nobody declared.
set -eu
. "$(dirname "$0")/../expect.sh"
host="${NGINX_HOST:-nginx}"
http="http://$host:${NGINX_HTTP_PORT:-80}"
h2c="http://$host:${NGINX_H2C_PORT:-81}"
plain="http://$host:${NGINX_PLAIN_PORT:-82}"
data="${WATTLE_DATA:-$(mktemp -d)}"

fetch() { curl --silent --show-error --noproxy '*' --max-time 30 "$@"; }
status() { fetch --output /dev/null --write-out '%{http_code}' "$@"; }
ask() { fetch --fail "$@"; }

wait_for 60 fetch --fail "$http/"
for url in "$http" "$plain"; do
  expect "GET $url/" "hello from nginx" "$(ask "$url/")"
done
expect "HTTP/1.0" "200" "$(status --http1.0 "$http/")"
expect "HEAD has no body" "200 0" "$(fetch --head --output /dev/null --write-out '%{http_code} %{size_download}' "$http/numbers")"
expect "what is not there" "404" "$(status "$http/nowhere")"
expect "a header and the host arrive" "1|$host" "$(ask -H 'X-One: 1' "$http/headers" | sed 's/:.*//')"
expect "two requests on one connection" "1 0 " "$(fetch --output /dev/null --output /dev/null --write-out '%{num_connects} ' "$http/" "$http/")"
expect "a range" "1 2 3" "$(ask --range 0-4 "$http/numbers" | tr "\n" " ")"

ask --output "$data/large" "$http/large"
expect "a body of 4 MiB" 4194304 "$(wc -c <"$data/large" | tr -d ' ')"
expect "PUT with Expect: 100-continue" 201 "$(status --http1.1 --upload-file "$data/large" -H 'Expect: 100-continue' "$http/files/copy")"
expect "PUT in chunks over the same" 204 "$(status --http1.1 --upload-file - "$http/files/copy" <"$data/large")"
expect "what was put comes back" "$(cksum <"$data/large")" "$(ask "$http/files/copy" | cksum)"
expect "a compressed body of unknown length" "$(seq 1 50000 | cksum)" "$(ask --compressed "$http/zip/numbers" | cksum)"

expect "HTTP/2 to HTTP/2" "200 2" "$(fetch --http2-prior-knowledge --output /dev/null --write-out '%{http_code} %{http_version}' "$h2c/")"
expect "a body of 4 MiB by HTTP/2" "$(cksum <"$data/large")" "$(ask --http2-prior-knowledge "$h2c/large" | cksum)"
expect "PUT by HTTP/2" 204 "$(status --http2-prior-knowledge --upload-file "$data/large" "$h2c/files/copy")"

if [ "${IN_MESH:-}" = 1 ]; then
  expect "a path that policy denies" 403 "$(status "$http/private/diary")"
  expect_match "and why" '^[Ww]attle-[Rr]eason: [a-z-]+' "$(fetch --output /dev/null --dump-header - "$http/private/diary")"
  expect "a method that policy does not allow" 403 "$(status --request DELETE "$http/files/copy")"
else
  expect "without a mesh nobody denies" 200 "$(status "$http/private/diary")"
fi

# load NAME OPTIONS...: every one of 5,000 requests must succeed.
load() {
  name="$1"
  shift
  report="$(h2load --requests=5000 --threads=1 "$@")"
  expect_match "h2load by $name" "requests: 5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored" "$report"
  expect_match "h2load by $name" "status codes: 5000 2xx, 0 3xx, 0 4xx, 0 5xx" "$report"
}
load "HTTP/1.1" --h1 --clients=20 "$http/"
load "HTTP/1.1, undeclared" --h1 --clients=20 "$plain/"
load "HTTP/2" --clients=4 --max-concurrent-streams=16 "$h2c/"
echo "nginx: all as expected"
