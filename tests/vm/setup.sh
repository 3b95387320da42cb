#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: setup.sh SERIES...
# Installs what the virtual machines need and is not there, and brings the stock
# Debian kernel of each series (6.1, 6.12) into the cache, where kernel-SERIES
# points at it. Calls apt only when something is missing.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/berk
log=$cache/apt.log
mkdir -p "$cache"
: >"$log"

say() { echo "setup: $*" >&2; }
die() { say "$@"; exit 1; }

# try COMMAND...: once more with fresh package lists if it fails
try() {
	"$@" >>"$log" 2>&1 && return
	say "apt-get update"
	apt-get -q update >>"$log" 2>&1 || true
	"$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; die "failed: $*"; }
}

# install PACKAGE...: those which are not installed
install() {
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' ||
			missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || die "not root, and missing:$missing (run with sudo)"
	say "installing$missing"
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive try apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing
}

# concrete META: the package that the meta package stands for
concrete() {
	apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-\)/\1/p' | grep .
}

# kernel SERIES: headers are installed, image and modules only unpacked
kernel() {
	link=$cache/kernel-$1
	if [ ! -e "$link/vmlinuz" ]; then
		meta=linux-image-$1-cloud-amd64
		[ "$1" != 6.1 ] || meta=linux-image-cloud-amd64
		try concrete "$meta"
		image=$(concrete "$meta")
		rel=${image#linux-image-}
		say "fetching the kernel $rel"
		tmp=$(mktemp -d "$cache/fetch.XXXXXX")
		trap 'rm -rf "$tmp"' EXIT
		cd "$tmp"
		try apt-get -q download "$image"
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

install gcc make libc6-dev pkg-config libnl-genl-3-dev libjson-c-dev libsystemd-dev \
	qemu-system-x86 busybox-static iproute2 util-linux kmod cpio xz-utils gnuplot-nox python3
for series in "$@"; do
	kernel "$series"
done
