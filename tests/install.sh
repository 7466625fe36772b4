#!/usr/bin/env bash
# Installs the clients that the whole-system tests talk to. Quick when they are there; fails when one cannot be had.
# Needs root or sudo for Debian's packages. Python packages go into .peers/ at the top of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."

debian=(chromium go-sendxmpp mcabber poezio profanity dino-im gajim tmux xvfb xdotool imagemagick dbus-daemon dnsmasq-base
    ca-certificates openssl iproute2 util-linux e2fsprogs python3)
# aioxmpp needs pytz and setuptools without saying so, and pyOpenSSL and tzlocal as they were in its days.
python_packages=(slixmpp==1.17.0 aiohttp==3.13.2 aioxmpp==0.13.3 'pyOpenSSL<24.3' 'tzlocal<3' pytz 'setuptools<66'
    pytest==8.4.2 schemathesis==4.32.5)
peers=.peers
venv=$peers/venv
node_packages=(@xmpp/client@0.14.0 ws@8.23.0)
# slixmpp's integration tests are only in its source package.
itests=$peers/slixmpp-1.17.0
# aioxmpp's end-to-end tests are in none of its packages.
e2etests=$peers/aioxmpp-0.13.3

say() { printf 'tests/install.sh: %s\n' "$*" >&2; }

have() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else say "needs root or sudo for: $*"; exit 1
    fi
}

install_debian() {
    local missing=()
    for package in "$@"; do have "$package" || missing+=("$package"); done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# aioxmpp stands still since 2023 and does not run on Python 3.12 and later.
suitable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3.11 python3.10 "$HOME"/.pyenv/versions/3.1[01].*/bin/python3; do
        if suitable "$candidate"; then echo "$candidate"; return; fi
    done
    say "needs a Python 3.10 or 3.11 for aioxmpp; none found"
    exit 1
}

install_python() {
    if [ -x $venv/bin/python ] && [ "$(cat $venv/.packages 2>/dev/null)" = "${python_packages[*]}" ]; then return; fi
    local python
    python=$(find_python)
    [ "$python" != /usr/bin/python3 ] || install_debian python3-venv
    say "making $venv with $python"
    rm -rf $venv
    "$python" -m venv $venv
    $venv/bin/pip install --quiet --disable-pip-version-check "${python_packages[@]}"
    $venv/bin/python -c 'import slixmpp, aioxmpp'
    echo "${python_packages[*]}" >$venv/.packages
}

install_itests() {
    [ -f $itests/run_integration_tests.py ] && return
    say "fetching slixmpp's own integration tests"
    local download
    download=$(mktemp -d)
    $venv/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary slixmpp --dest "$download" slixmpp==1.17.0
    # Only the tests: the library that they import is the installed one.
    tar -xzf "$download"/slixmpp-1.17.0.tar.gz -C $peers slixmpp-1.17.0/itests slixmpp-1.17.0/run_integration_tests.py
    rm -rf "$download"
}

# Debian makes its source package from aioxmpp's repository, so the tests are in there. It comes from wherever this
# machine has its packages from, without a change to what the machine has set up.
install_e2etests() {
    [ -f $e2etests/tests/test_e2e.py ] && return
    say "fetching aioxmpp's own end-to-end tests"
    local download file
    download=$(mktemp -d)
    mkdir -p "$download"/{sources,lists/partial,cache}
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -f "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >>"$download"/sources/all.list
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$download/sources/$(basename "$file")"
    done
    local options=(-qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$download"/sources -o APT::Sandbox::User=
        -o Dir::State::Lists="$download"/lists -o Dir::Cache="$download"/cache)
    # Not everybody who has packages has their sources too.
    apt-get "${options[@]}" update >/dev/null 2>&1 || true
    (cd "$download" && apt-get "${options[@]}" source --tar-only --download-only python-aioxmpp >/dev/null)
    if [ ! -f "$download"/python-aioxmpp_0.13.3.orig.tar.gz ]; then
        say "Debian's source package of aioxmpp 0.13.3 cannot be had"
        exit 1
    fi
    mkdir -p $e2etests
    tar -xzf "$download"/python-aioxmpp_0.13.3.orig.tar.gz -C $e2etests tests
    rm -rf "$download"
}

install_node() {
    [ "$(cat $peers/node/.packages 2>/dev/null)" = "${node_packages[*]}" ] && return
    command -v npm >/dev/null || install_debian nodejs npm
    say "installing ${node_packages[*]}"
    rm -rf $peers/node
    mkdir $peers/node
    npm install --silent --no-audit --no-fund --prefix $peers/node "${node_packages[@]}"
    echo "${node_packages[*]}" >$peers/node/.packages
}

mkdir -p $peers
install_debian "${debian[@]}"
install_python
install_itests
install_e2etests
install_node
for command in go-sendxmpp mcabber poezio profanity dino-im gajim tmux Xvfb xdotool import dbus-run-session dnsmasq \
    openssl ip unshare nsenter mkfs.ext4 node; do
    PATH=$PATH:/usr/sbin:/sbin command -v $command >/dev/null || { say "$command is missing after its installation"; exit 1; }
done
