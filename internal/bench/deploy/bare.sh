#!/bin/sh
# What a careful person would write in berth's place: bring the network up, put the bytes on the disk, restart.
b=/bin/busybox
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
$b mount -t sysfs none /sys
exec >/dev/console 2>&1
echo "bare: started"
set -- $($b cat /proc/cmdline)
for word; do
	case $word in bare_*) eval "$word" ;; esac
done
for module in virtio_pci virtio_rng virtio_net af_packet nvme virtio_scsi sd_mod; do
	$b modprobe $module
done
$b ip link set lo up
$b ip link set eth0 up
$b cat >/tmp/leased <<-'END'
	#!/bin/sh
	[ "$1" = bound ] && /bin/busybox ip addr add "$ip/$mask" dev eth0
	exit 0
END
$b chmod 755 /tmp/leased
$b udhcpc -i eth0 -n -q -t 20 -T 1 -s /tmp/leased || exec $b reboot -f
echo "bare: has an address"
until [ -b "/dev/$bare_disk" ]; do
	$b usleep 50000
done
$b wget -q -O - "$bare_url/content" | $b dd of="/dev/$bare_disk" bs=4M iflag=fullblock oflag=direct conv=fsync || exec $b poweroff -f
echo "bare: written"
echo "bare: restarting"
$b reboot -f
