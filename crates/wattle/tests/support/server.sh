#!/bin/sh
# A stock nginx on 8080 that says its VERSION and the header X-Edit; asked to end, it finishes what it has begun.
set -eu
PATH="$PATH:/usr/sbin"
data="${WATTLE_DATA:?}"
cat >"$data/nginx.conf" <<CONF
daemon off;
user root;
worker_processes 1;
pid $data/pid;
error_log stderr warn;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path $data/body;
  proxy_temp_path $data/proxy;
  fastcgi_temp_path $data/fastcgi;
  uwsgi_temp_path $data/uwsgi;
  scgi_temp_path $data/scgi;
  # Kept connections are closed often, so that many requests meet one that just went.
  keepalive_requests 500;
  keepalive_timeout 1s;
  server {
    listen 0.0.0.0:8080;
    location / { return 200 "${VERSION:?} \$http_x_edit\n"; }
  }
}
CONF
nginx -p "$data" -c "$data/nginx.conf" -e stderr &
trap 'kill -QUIT $!' TERM
wait $! || wait $!
