#!/bin/sh
# Runs in the unpacked system, before it becomes an image. It makes no network
# connection and starts no service.
set -eu
export LC_ALL=C

# One initramfs, for the disks of /etc/initramfs-tools/modules and no others.
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=zstd/' /etc/initramfs-tools/initramfs.conf
version=$(linux-version list | tail -n 1)
update-initramfs -c -k "$version"
rm -f /initrd.img.old /vmlinuz.old
ln -sf "boot/vmlinuz-$version" /vmlinuz
ln -sf "boot/initrd.img-$version" /initrd.img
test -s /vmlinuz
test -s /initrd.img

# Python sources compiled once here, not on every first boot. The files are
# checked by nobody: the sources do not change.
python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.* || true

systemctl enable -q systemd-networkd systemd-resolved ssh
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

# Housekeeping that a machine living for minutes does not need, and the stage of
# cloud-init whose modules run in the others.
systemctl mask -q apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-pstore.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount getty@tty1.service \
    cloud-config.service

# Each machine makes its own identity.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_* /etc/hostname
passwd -q -l root
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/*.log /var/log/apt /tmp/*
