#!/usr/bin/env bash
# Installs what `bench compare` measures Chancery against: Prosody and ejabberd from Debian, with their SQLite
# back ends. Their services are kept from starting; the comparison starts its own copies on free loopback ports.
set -euo pipefail

wanted=(prosody lua-dbi-sqlite3 ejabberd erlang-p1-sqlite3 sqlite3)
missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "prosody and ejabberd are already installed"
    exit 0
fi

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# A package's post-install script asks policy-rc.d before it starts a service; 101 means "not now".
policy=/usr/sbin/policy-rc.d
placed=no
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    placed=yes
fi
cleanup() { if [ "$placed" = yes ]; then as_root rm -f "$policy"; fi; }
trap cleanup EXIT

as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"

# Only what this script brought is switched off; a server that was already here stays as its owner left it.
if [ -d /run/systemd/system ]; then
    for unit in prosody ejabberd; do
        if printf '%s\n' "${missing[@]}" | grep -qx "$unit"; then
            as_root systemctl disable --now "$unit" 2>/dev/null || true
        fi
    done
fi
