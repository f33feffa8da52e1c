#!/bin/sh
# First step of the full guest: find the disk, hand over to its systemd.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
read -r up _ </proc/uptime
echo "@guest-mark $up initrd"
modprobe -a crc32c_generic virtio_pci virtio_blk ext4
for _ in $(seq 50); do
	[ -b /dev/vda1 ] && break
	sleep 0.1
done
mount -t ext4 -o ro /dev/vda1 /newroot || poweroff -f
mount --move /dev /newroot/dev
umount /sys
read -r up _ </proc/uptime
echo "@guest-mark $up switch_root"
umount /proc
exec switch_root /newroot /sbin/init
