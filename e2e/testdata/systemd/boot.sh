#!/bin/sh
# Becomes the systemd of a machine that is made up: in namespaces of its own, with the programs, the units and the
# Corefile of the folder $1.
set -eu
dir=$1
mount --make-rprivate /
mkdir -p "$dir/var-lib" "$dir/etc"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/bin
cp "$dir"/units/* /run/systemd/system/
cp "$dir"/bin/* /run/bin/
mount --bind /run/bin /usr/local/bin
cp /etc/passwd /etc/group "$dir/etc/"
echo 'plexha:x:990:990::/var/lib/plexha:/usr/sbin/nologin' >>"$dir/etc/passwd"
echo 'plexha:x:990:' >>"$dir/etc/group"
mount --bind "$dir/etc/passwd" /etc/passwd
mount --bind "$dir/etc/group" /etc/group
mount --bind "$dir/var-lib" /var/lib

# What systemd would start of the machine is none of its business here.
for unit in plexdns.service plexproxy.service plexproxy.socket; do
    mkdir -p "/run/systemd/system/$unit.d"
    printf '[Unit]\nDefaultDependencies=no\nWants=\nAfter=\n' >"/run/systemd/system/$unit.d/alone.conf"
done
for program in plexdns plexproxy; do
    printf '[Service]\nWatchdogSec=6\nStandardOutput=append:%s\nStandardError=append:%s\n' "$dir/$program.log" "$dir/$program.log" \
        >"/run/systemd/system/$program.service.d/told.conf"
done
printf '[Unit]\nDefaultDependencies=no\nWants=plexdns.service plexproxy.service look.service\n' >/run/systemd/system/made.target
printf '[Unit]\nDefaultDependencies=no\nAfter=plexdns.service plexproxy.service\n[Service]\nExecStart=/bin/sh %s %s\nStandardOutput=append:%s\nStandardError=append:%s\n' \
    "$dir/look.sh" "$dir" "$dir/look.log" "$dir/look.log" >/run/systemd/system/look.service

umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
export container=made-up
exec /lib/systemd/systemd --system --unit=made.target --log-target=console --show-status=no
