#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: setup.sh SERIES... [peers]
# Installs what the virtual machines need and is not there, and brings the stock
# Debian kernel of each series (6.1, 6.12) into the cache, where kernel-SERIES
# points at it. "peers" brings the time daemons that berk is compared with; they
# are unpacked there and never installed. Calls apt only when something is missing.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/berk
log=$cache/apt.log
mkdir -p "$cache"
: >"$log"

say() { echo "setup: $*" >&2; }
die() { say "$@"; exit 1; }

# run COMMAND...: as quiet as it succeeds
run() {
	"$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; die "failed: $*"; }
}

updated=
update() {
	[ -z "$updated" ] || return 0
	[ "$(id -u)" = 0 ] || die "not root, and missing: $* (run with sudo)"
	say "updating the package lists"
	run apt-get -q -o DPkg::Lock::Timeout=300 update
	updated=1
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install PACKAGE...: those which are not installed
install() {
	missing=
	for p in "$@"; do
		installed "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	update "$missing"
	say "installing$missing"
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive run apt-get -qy -o DPkg::Lock::Timeout=300 \
		install --no-install-recommends $missing
}

# usable LINK: a kernel is there, and its headers are or can be had
usable() {
	[ -e "$1/vmlinuz" ] || return 1
	headers=linux-headers-$(cat "$1/release")
	installed "$headers" || apt-cache show "$headers" >/dev/null 2>&1
}

# kernel SERIES: headers are installed, image and modules only unpacked
kernel() {
	link=$cache/kernel-$1
	if ! usable "$link"; then
		update "the kernel $1"
		meta=linux-image-$1-cloud-amd64
		[ "$1" != 6.1 ] || meta=linux-image-cloud-amd64
		image=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-\)/\1/p')
		[ -n "$image" ] || die "no package $meta: is this Debian 12 with its security updates?"
		rel=${image#linux-image-}
		say "fetching the kernel $rel"
		tmp=$(mktemp -d "$cache/fetch.XXXXXX")
		trap 'rm -rf "$tmp"' EXIT
		cd "$tmp"
		run apt-get -q download "$image"
		dpkg -x "$image"_*.deb root
		depmod -b root "$rel"
		ln -s "boot/vmlinuz-$rel" root/vmlinuz
		echo "$rel" >root/release
		rm -rf "${cache:?}/$rel"
		mv root "$cache/$rel"
		ln -sfn "$rel" "$link"
		cd /
		rm -rf "$tmp"
	fi
	install "linux-headers-$(cat "$link/release")"
}

# peers: chrony and linuxptp with the libraries that they need, but for libc
peers() {
	[ ! -e "$cache/peers/versions" ] || return 0
	update "chrony and linuxptp"
	say "fetching chrony and linuxptp"
	tmp=$(mktemp -d "$cache/fetch.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	cd "$tmp"
	direct=$(apt-cache depends --important chrony linuxptp | sed -n 's/^ *Depends: \(lib\)/\1/p')
	# shellcheck disable=SC2086 # a list of words
	libs=$(apt-cache depends --recurse --important $direct |
		grep '^lib' | grep -vx 'libc6\|libcrypt1\|libgcc-s1' | sort -u)
	# shellcheck disable=SC2086 # a list of words
	run apt-get -q download chrony linuxptp $libs
	for deb in *.deb; do
		dpkg -x "$deb" root
	done
	for deb in chrony_*.deb linuxptp_*.deb; do
		dpkg-deb -W --showformat '${Package} ${Version}\n' "$deb"
	done >root/versions
	rm -rf "$cache/peers"
	mv root "$cache/peers"
	cd /
	rm -rf "$tmp"
}

install gcc make libc6-dev pkg-config libnl-genl-3-dev libjson-c-dev libsystemd-dev \
	qemu-system-x86 busybox-static iproute2 nftables util-linux kmod cpio xz-utils gnuplot-nox python3
for what in "$@"; do
	case $what in
	peers) peers ;;
	*) kernel "$what" ;;
	esac
done
