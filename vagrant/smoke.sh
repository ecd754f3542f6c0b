#!/bin/sh
# What a release must pass on a machine of its own: the demo, the end-to-end tests, and one container on the host itself.
# Exit status 0 only if all of it held.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    exec sudo "$0" "$@"
fi
cd "${NETRT_TREE:-/netrt}"

echo "== demo"
make demo

echo "== end-to-end tests"
make e2e

echo "== a container on this host"
netrt=.venv/bin/netrt
trap '$netrt rm -f smoke >/dev/null 2>&1 || true; $netrt network rm -f smoke >/dev/null 2>&1 || true' EXIT
$netrt network create --ipv6 smoke
$netrt run -d --name smoke --network smoke -p 127.0.0.1:18080:8080 -- python3 -m http.server 8080
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if python3 -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:18080/", timeout=5)' 2>/dev/null; then
        echo "the published port answers"
        exit 0
    fi
    sleep 0.5
done
echo "the published port does not answer" >&2
exit 1
