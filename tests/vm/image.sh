#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Usage: image.sh SERIES OUT.cpio AGENT [FILE...]
# Makes the initramfs of a test machine: busybox, ip, nft, the kernel's modules that
# they need, AGENT as PID 1, and each FILE: *.ko in /, programs with their
# libraries in /bin. Not compressed: unpacking costs an emulated processor seconds.
set -eu

series=$1 out=$2 agent=$3
shift 3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berk
kernel=$cache/kernel-$series
rel=$(cat "$kernel/release")
mkdir -p "$(dirname "$out")"
root=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

mkdir -p "$root/bin" "$root/modules" "$root/dev" "$root/proc" "$root/sys" "$root/run" \
	"$root/tmp" "$root/etc/berk" "$root/var" "$root/lib64"
ln -s bin "$root/sbin"
ln -s ../run "$root/var/run"
echo 'root:x:0:0::/:/bin/sh
nobody:x:65534:65534::/:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:
nogroup:x:65534:' >"$root/etc/group"

cp /bin/busybox "$root/bin/"
for applet in $("$root/bin/busybox" --list); do
	[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
cp "$agent" "$root/init"
ln -s ../init "$root/bin/agent"

# program FILE: with the libraries that it needs; one of the peers brings its own
program() {
	libs=
	case $1 in
	"$cache/peers/"*)
		libs=$(echo "$cache"/peers/lib/*-linux-gnu "$cache"/peers/usr/lib/*-linux-gnu | tr ' ' :)
		;;
	esac
	rm -f "$root/bin/$(basename "$1")"
	cp -L "$1" "$root/bin/"
	LD_LIBRARY_PATH=$libs ldd "$1" 2>/dev/null |
		sed -n 's/^[^/]*\(\/[^ ]*\) (.*/\1/p' | while read -r lib; do
		to=$root${lib#"$cache/peers"}
		mkdir -p "$(dirname "$to")"
		[ -e "$to" ] || cp -L "$lib" "$to"
	done
}

# module LIST NAME: with those that it depends on, in the order of loading
module() {
	/sbin/modprobe -d "$kernel" -S "$rel" --show-depends "$2" |
		sed -n 's/^insmod \([^ ]*\).*/\1/p' | while read -r ko; do
		name=$(basename "${ko%.xz}")
		grep -qsx "/modules/$name" "$root/modules/$1" && continue
		case $ko in
		*.xz) xz -dc "$ko" >"$root/modules/$name" ;;
		*) cp "$ko" "$root/modules/$name" ;;
		esac
		echo "/modules/$name" >>"$root/modules/$1"
	done
}

# What is in "order" the agent loads at the start.
for m in virtio_pci virtio_net veth ip6_udp_tunnel udp_tunnel; do
	module order "$m"
done
for m in nf_tables nft_ct; do
	module firewall "$m"
done
program /bin/ip
program /usr/sbin/nft
for f in "$@"; do
	case $f in
	*.ko) cp "$f" "$root/" ;;
	*) program "$f" ;;
	esac
done

(cd "$root" && find . | cpio --quiet -o -H newc) >"$out.new"
mv "$out.new" "$out"
