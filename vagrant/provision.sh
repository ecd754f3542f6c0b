#!/bin/sh
# Make a fresh Debian or Ubuntu host ready for netrt: `provision.sh [HOSTS]`, as root. May be run again.
set -eu

hosts=${1:-1}
tree=${NETRT_TREE:-/netrt}

if ! command -v make >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq make
fi
make -C "$tree" setup

# Each host knows the others by name.
sed -i '/# netrt$/d' /etc/hosts
number=1
while [ "$number" -le "$hosts" ]; do
    echo "192.168.56.$((10 + number)) host$number # netrt" >>/etc/hosts
    number=$((number + 1))
done

# `netrt` for root and for everybody else, with completion in bash.
ln -sf "$tree/.venv/bin/netrt" /usr/local/bin/netrt
_NETRT_COMPLETE=bash_source "$tree/.venv/bin/netrt" >/etc/profile.d/netrt-completion.sh
echo "netrt is set up on $(hostname): $(netrt --version), Linux $(uname -r)"
