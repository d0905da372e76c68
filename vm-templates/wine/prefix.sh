#!/bin/sh
# Fill Wine's prefix inside ROOT. Runs as process 1 of namespaces of its own: when it
# ends or is killed, its mounts and every Wine process end with it.
# usage: prefix.sh ROOT
set -eu
root=$1

# The registry keeps the name of the host it was made on.
echo linwin > /proc/sys/kernel/hostname

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"

inside() {
  env -i HOME=/root PATH=/usr/lib/wine USER=ContainerAdministrator WINEDEBUG=-all \
    WINEPREFIX=/prefix WINESERVER=/usr/lib/wine/wineserver64 WINEDLLOVERRIDES=mscoree= \
    "$chroot" "$root" "$@"
}
chroot=$(command -v chroot || echo /usr/sbin/chroot)

inside /usr/lib/wine/wine64 wineboot --init
# wineboot returns before its helpers: the prefix is at rest when the server has ended.
inside /usr/lib/wine/wineserver64 --wait
inside /usr/lib/wine/wine64 regedit /S 'Z:\prefix.reg'
inside /usr/lib/wine/wineserver64 --wait
